"""Which batches are taken for long: by what half of the runs of their size exceed."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from serving.inference import Hosted, Signature, VersionKey
from serving.pool.inbox import Waiting
from serving.pool.run_lengths import RunLengths
from serving.wire.batch_frame import Run
from serving.wire.frame import RUN, Frame

HOSTED = Hosted(VersionKey("m", 1), Signature((), ()), batchable=True)
OTHER = Hosted(VersionKey("m", 2), Signature((), ()), batchable=True)


def of_rows(rows: int, size: int = 0) -> Waiting:
    return Waiting(Frame(RUN, 0, 1, b"", 0, size), Run(1_000, rows, 1, 0), 1.0)


def taken_for_long(runs_s: Iterable[float]) -> list[bool]:
    lengths = RunLengths(long_s=0.002)
    found = []
    for run_s in runs_s:
        found.append(lengths.long(HOSTED, of_rows(1)))
        lengths.saw(HOSTED, of_rows(1), run_s)
    return found


@pytest.mark.parametrize("interrupted", [0.05, 0.2, 0.3])
def test_runs_that_are_interrupted_now_and_then_stay_short(interrupted: float) -> None:
    chance = random.Random(1)
    runs = [0.001 + (chance.choice((0.004, 0.03)) if chance.random() < interrupted else 0.0) for _ in range(10_000)]
    assert sum(taken_for_long(runs)) < 0.02 * len(runs)


def test_a_version_that_becomes_long_or_short_is_followed_within_forty_runs() -> None:
    found = taken_for_long([0.001] * 50 + [0.03] * 50 + [0.001] * 50)
    assert found[49] is False
    assert found[89:100] == [True] * 11
    assert found[139:] == [False] * 11


def test_versions_and_sizes_are_told_apart_and_what_never_ran_is_short() -> None:
    lengths = RunLengths(long_s=0.002)
    assert not lengths.long(HOSTED, of_rows(64))
    lengths.saw(HOSTED, of_rows(64), 0.03)
    assert lengths.long(HOSTED, of_rows(100))
    assert not lengths.long(HOSTED, of_rows(1))
    assert not lengths.long(OTHER, of_rows(64))


def test_a_request_that_runs_whole_is_told_by_its_bytes() -> None:
    lengths = RunLengths(long_s=0.002)
    lengths.saw(HOSTED, of_rows(0, size=1_000_000), 0.03)
    assert lengths.long(HOSTED, of_rows(0, size=1_000_000))
    assert not lengths.long(HOSTED, of_rows(0, size=100))
