"""How long the turns of the event loop last: what a request waits before anybody looks at it."""

from __future__ import annotations

from serving.deadline import Timers

_TICK_S = 0.005
# A tick that comes so late has met a long turn; from then on each turn is measured, until so many have been short.
_LATE_S = 0.002
_SHORT_TURNS = 8
# What was seen fades by half a turn, so that one good turn does not let everybody in again at once.
_FADING = 0.5
# A turn in which requests of some dozen connections are decoded takes so long.
CALM_S = 0.004
# A request waits while the turn goes on in which it comes; in the next it is read, in the one after its batch begins or
# its answer leaves.
_TURNS_A_REQUEST = 3.0


class LoopLag:
    """`seconds` that a request loses to the loop, `calm` while that is too little to look at.

    A timer looks now and then while the loop is busy, and every turn where turns are long; an idle loop has no timer.
    """

    __slots__ = ("_armed", "_began", "_last_s", "_short", "_timers", "_turn_s", "_watched", "calm", "seconds")

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._armed = False
        self._watched = False
        self._began = 0.0
        self._turn_s = self._last_s = 0.0
        self._short = 0
        self.seconds = 0.0
        self.calm = True

    def watch(self) -> None:
        """Work has come."""
        self._watched = True
        if not self._armed:
            self._tick_later()

    def _tick_later(self) -> None:
        self._armed = True
        self._watched = False
        self._began = self._timers.time()
        self._timers.call_at(self._began + _TICK_S, self._ticked)

    def _ticked(self) -> None:
        late_s = self._timers.time() - self._began - _TICK_S
        self._armed = False
        if late_s > _LATE_S:
            self._saw(late_s)
            self._armed = True
            self._short = 0
            self._next_turn()
        elif self._watched:
            self._tick_later()

    def _next_turn(self) -> None:
        self._began = self._timers.time()
        self._timers.call_at(self._began, self._turned)

    def _turned(self) -> None:
        turn_s = self._timers.time() - self._began
        self._saw(turn_s)
        self._short = self._short + 1 if turn_s < _LATE_S else 0
        if self._short < _SHORT_TURNS or self._turn_s > _LATE_S:
            self._next_turn()
        else:
            # Short turns are not measured from here on, so what is left of the last long one would stand for ever; of
            # one of some seconds it would be more than a goal allows.
            self._turn_s = 0.0
            self._saw(0.0)
            self._tick_later()

    def _saw(self, turn_s: float) -> None:
        # One long turn is a pause, of the process or of the whole machine, and nothing waits behind it; two are work.
        both_s, self._last_s = min(turn_s, self._last_s), turn_s
        self._turn_s = max(both_s, self._turn_s * _FADING)
        self.seconds = _TURNS_A_REQUEST * self._turn_s
        self.calm = self._turn_s < CALM_S
