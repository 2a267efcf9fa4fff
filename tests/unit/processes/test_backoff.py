"""Delays before a crashed part starts again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.processes.backoff import LONGEST_S, STEADY_S, delay_s, strikes_after


def test_the_first_crash_is_answered_at_once_and_each_further_one_waits_twice_as_long() -> None:
    assert [delay_s(strikes) for strikes in range(1, 6)] == [0.0, 0.5, 1.0, 2.0, 4.0]


@given(st.integers(min_value=2, max_value=10**9))
def test_no_later_crash_goes_without_a_delay_and_none_waits_longer_than_the_longest(strikes: int) -> None:
    assert 0 < delay_s(strikes) <= LONGEST_S


def test_a_part_that_lived_for_a_minute_starts_over() -> None:
    assert strikes_after(7, STEADY_S) == 1
    assert strikes_after(7, STEADY_S - 1) == 8
