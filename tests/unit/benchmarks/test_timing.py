"""Timing against a clock that is told how long each call takes."""

from __future__ import annotations

import pytest

from benchmarks.timing import measure


class Slow:
    """An action of 2 ms on its own clock, which now and then takes ten times as long."""

    def __init__(self, slow_every: int = 0) -> None:
        self.now = 0.0
        self.calls = 0
        self._slow_every = slow_every

    def __call__(self) -> None:
        self.calls += 1
        slow = self._slow_every and self.calls % self._slow_every == 0
        self.now += 0.02 if slow else 0.002

    def clock(self) -> float:
        return self.now


def test_a_call_is_timed_over_as_many_calls_as_fill_the_time() -> None:
    action = Slow()
    timing = measure(action, least_s=0.05, repeats=3, clock=action.clock)
    assert timing.calls == 32
    assert timing.least_us == pytest.approx(2000)


def test_a_disturbance_moves_neither_the_least_nor_the_median() -> None:
    action = Slow(slow_every=100)
    timing = measure(action, least_s=0.05, repeats=7, clock=action.clock)
    assert timing.least_us == pytest.approx(2000)
    assert timing.median_us == pytest.approx(2000)
