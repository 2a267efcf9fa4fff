"""What a replica reports goes through Ray as numbers, and comes out as what it was."""

from __future__ import annotations

import pytest

from serving.pool.replica_load import ReplicaLoad, load_of, worst_of
from serving.wire.waits_frame import Waits


@pytest.mark.parametrize("load", [ReplicaLoad(0.25, Waits(0.01, 0.02, 0.03, 4)), ReplicaLoad(0.5, None)])
def test_a_report_is_numbers_and_comes_back_as_it_was(load: ReplicaLoad) -> None:
    stats = load.stats()
    assert all(type(number) is float for number in stats.values())
    assert load_of(stats) == load


def test_a_report_of_another_kind_is_none() -> None:
    assert load_of({"busy": 0.5, "told": 1.0}) is None
    assert load_of({}) is None


def test_of_several_gateways_the_one_worst_off_counts_and_the_rows_of_all() -> None:
    assert worst_of([]) is None
    assert worst_of([Waits(0.1, 1.0, 1.1, 3), Waits(0.02, 0.02, 0.03, 4)]) == Waits(0.02, 0.02, 0.03, 7)
