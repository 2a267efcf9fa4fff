"""The lag of a loop, seen by a timer that comes late."""

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

    def turn(self, late_s: float = 0.0) -> None:
        """The next timer fires, so much too late."""
        when, callback = self.due.pop(0)
        self.now = when + late_s
        callback()


def test_a_loop_that_is_behind_is_noticed_and_fades_when_it_catches_up() -> None:
    timers = Timers()
    lag = LoopLag(timers)
    assert lag.calm
    lag.watch()
    timers.turn(late_s=0.030)
    assert lag.seconds == pytest.approx(0.030)
    assert lag.seconds > CALM_S
    while timers.due:
        timers.turn()
    assert lag.calm
    assert lag.seconds < CALM_S


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
