"""How far the event loop is behind: what a request waits before anybody looks at it."""

from __future__ import annotations

from serving.deadline import Timers

_TICK_S = 0.005
# What was seen fades by a third a tick, so that one good turn does not let everybody in again at once.
_FADING = 0.67
# A turn in which requests of some dozen connections are decoded takes so long.
CALM_S = 0.004


class LoopLag:
    """`seconds` that the loop's turns last, `calm` while that is too little to look at; ticks only while it is busy."""

    __slots__ = ("_armed", "_due", "_timers", "_watched", "calm", "seconds")

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._armed = False
        self._watched = False
        self._due = 0.0
        self.seconds = 0.0
        self.calm = True

    def watch(self) -> None:
        """Work has come."""
        self._watched = True
        if not self._armed:
            self._arm()

    def _arm(self) -> None:
        self._armed = True
        self._watched = False
        self._due = self._timers.time() + _TICK_S
        self._timers.call_at(self._due, self._ticked)

    def _ticked(self) -> None:
        late_s = max(self._timers.time() - self._due, 0.0)
        self.seconds = max(late_s, self.seconds * _FADING)
        self.calm = self.seconds < CALM_S
        self._armed = False
        if self._watched or not self.calm:
            self._arm()
