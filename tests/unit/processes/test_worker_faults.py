"""In which trial, and for which arm, a worker counts that died in a run of a version."""

from __future__ import annotations

import pytest

from serving.inference import VersionKey
from serving.processes.worker_faults import WorkerFaults, charged
from serving.routing.table import Route, RouteTable, Served, Split, Trial

TRIAL = Trial("r-1", 2, 0, 500, sticky=False, began_s=0.0, count_from_s=0.0)


def table_of(trial: Trial | None) -> RouteTable:
    splits = (Split("stable", 1, 9_500), Split("canary", 2, 500))
    served = tuple(Served(version, "gateway") for version in (1, 2, 3))
    return RouteTable(2, {"m": Route("m", "salt", splits, served, trial)})


@pytest.mark.parametrize(
    ("key", "trial", "found"),
    [
        (VersionKey("m", 2), TRIAL, (TRIAL, 0)),
        (VersionKey("m", 1), TRIAL, (TRIAL, 1)),
        (VersionKey("m", 3), TRIAL, None),
        (VersionKey("m", 2), None, None),
        (VersionKey("other", 2), TRIAL, None),
    ],
)
def test_it_counts_for_the_arm_of_its_version_and_outside_of_trials_for_nobody(
    key: VersionKey, trial: Trial | None, found: tuple[Trial, int] | None
) -> None:
    assert charged(table_of(trial), key) == found


async def test_without_a_control_redis_nobody_is_told() -> None:
    async def table() -> RouteTable:
        raise AssertionError("nobody asks")

    faults = WorkerFaults("")
    faults.look_up_in(table)
    faults.saw(VersionKey("m", 2))
    await faults.stop()
