"""The lag of a loop, seen by timers that come late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from serving.batching.loop_lag import CALM_S, LoopLag


class Timers:
    """A loop whose turns a test lets last."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timers:
        self.due.append((when, callback))
        return self

    def cancel(self) -> None:
        """Nobody does."""

    def turn(self, lasts_s: float = 0.0) -> None:
        """A turn goes by, and the timer fires if it is due by its end."""
        when, callback = self.due[0]
        self.now = max(self.now + lasts_s, when)
        self.due.pop(0)
        callback()


def test_turns_that_are_long_are_noticed_and_each_is_measured() -> None:
    timers = Timers()
    lag = LoopLag(timers)
    lag.watch()
    timers.turn(lasts_s=0.008)
    timers.turn(lasts_s=0.030)
    timers.turn(lasts_s=0.040)
    assert lag.seconds == pytest.approx(3 * 0.030)
    assert lag.seconds > 3 * CALM_S
    timers.turn(lasts_s=0.020)
    assert lag.seconds == pytest.approx(3 * 0.020)


def test_a_single_pause_is_not_taken_for_work() -> None:
    timers = Timers()
    lag = LoopLag(timers)
    lag.watch()
    timers.turn(lasts_s=0.500)
    assert lag.seconds == 0.0
    timers.turn(lasts_s=0.001)
    assert lag.seconds == pytest.approx(3 * 0.001)


def test_a_loop_that_catches_up_is_calm_again_and_has_no_timer_once_idle() -> None:
    timers = Timers()
    lag = LoopLag(timers)
    lag.watch()
    timers.turn(lasts_s=0.030)
    timers.turn(lasts_s=0.030)
    turns = 0
    while timers.due:
        timers.turn(lasts_s=0.0001)
        turns += 1
    assert lag.calm
    assert lag.seconds == 0.0
    assert turns < 12


@pytest.mark.parametrize("stall_s", [0.3, 10.0, 3_600.0])
def test_nothing_is_left_of_a_stall_however_long_it_was(stall_s: float) -> None:
    timers = Timers()
    lag = LoopLag(timers)
    lag.watch()
    timers.turn(lasts_s=stall_s)
    timers.turn(lasts_s=stall_s)
    assert lag.seconds > stall_s
    while timers.due:
        timers.turn(lasts_s=0.0001)
    assert lag.calm
    assert lag.seconds == 0.0


def test_an_idle_loop_has_no_timer() -> None:
    timers = Timers()
    lag = LoopLag(timers)
    assert timers.due == []
    lag.watch()
    lag.watch()
    assert len(timers.due) == 1
    timers.turn()
    timers.turn()
    assert timers.due == []


def test_a_busy_loop_is_watched_on() -> None:
    timers = Timers()
    lag = LoopLag(timers)
    lag.watch()
    for _ in range(10):
        lag.watch()
        timers.turn()
        assert len(timers.due) == 1
