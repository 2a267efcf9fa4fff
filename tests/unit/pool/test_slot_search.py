"""One slot more only where it pays, and never more than processors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.pool.slot_search import most_slots, slots_worth


@pytest.mark.parametrize(("num_cpus", "most"), [(0, 1), (0.5, 1), (1, 1), (1.5, 2), (2, 2), (64, 4)])
def test_no_more_are_tried_than_there_are_processors_and_never_more_than_four(num_cpus: float, most: int) -> None:
    assert most_slots(num_cpus) == most


@pytest.mark.parametrize(
    ("speeds", "slots"),
    [
        ([100, 100, 100, 100], 1),
        ([100, 149, 300, 400], 1),
        ([100, 200, 210, 400], 2),
        ([100, 190, 280, 370], 4),
        ([0, 0, 0, 0], 1),
    ],
)
def test_each_further_one_brings_half_of_what_the_first_does(speeds: list[float], slots: int) -> None:
    assert slots_worth(lambda number: speeds[number - 1], 4) == slots


@given(st.lists(st.floats(1.0, 1e6), min_size=4, max_size=4), st.integers(1, 4))
def test_a_run_takes_at_most_1_6_times_as_long_as_alone(speeds: list[float], most: int) -> None:
    slots = slots_worth(lambda number: speeds[number - 1], most)
    assert 1 <= slots <= most
    assert slots / speeds[slots - 1] <= 1.6 / speeds[0] * (1 + 1e-9)


def test_what_cannot_pay_is_not_measured() -> None:
    asked: list[int] = []

    def speed(number: int) -> float:
        asked.append(number)
        return 1.0

    assert slots_worth(speed, 4) == 1
    assert asked == [1, 2]
