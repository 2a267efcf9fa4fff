"""What a request's feature rows may take of its time, where that is less than the longest wait for any read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.deadline import Timer, Timers
from serving.features.waiting import Waiting
from serving.inference import Request

_TICK_S = 0.001


@dataclass(frozen=True, slots=True)
class BudgetOptions:
    """Rows may take `share` of what is left of a request's deadline; every reader gives up after `longest_s` anyway."""

    share: float
    longest_s: float


class ReadBudgets:
    """Requests in a hurry: `late` is called with each whose rows are not there in its time, once, a tick after it at
    most. One timer for all of them; the others, which the reader's own limit is enough for, are not looked at.
    """

    def __init__(self, options: BudgetOptions, timers: Timers, late: Callable[[Waiting], None]) -> None:
        self._options = options
        self._timers = timers
        self._late = late
        self._spokes: dict[int, dict[Request, Waiting]] = {}
        self._spoke_of: dict[Request, int] = {}
        self._timer: Timer | None = None
        self._armed_for = 0

    def watch(self, waiting: Waiting) -> bool:
        """Begin to watch the request's time; False where the reader gives up before that is over."""
        request = waiting.request
        budget_s = (request.deadline_s - waiting.began) * self._options.share
        if budget_s >= self._options.longest_s:
            return False
        spoke = int((waiting.began + max(budget_s, 0.0)) / _TICK_S) + 1
        self._spokes.setdefault(spoke, {})[request] = waiting
        self._spoke_of[request] = spoke
        self._arm(spoke)
        return True

    def in_time(self, told: Sequence[Waiting]) -> list[Waiting]:
        """Those of them whose time is not over; they are not watched any more."""
        found = []
        for waiting in told:
            spoke = self._spoke_of.get(waiting.request)
            # Handed on without its rows, a request may wait for those of another version by now.
            if spoke is not None and self._spokes[spoke][waiting.request] is waiting:
                del self._spoke_of[waiting.request], self._spokes[spoke][waiting.request]
                found.append(waiting)
        return found

    def _arm(self, spoke: int) -> None:
        if self._timer is not None:
            if self._armed_for <= spoke:
                return
            self._timer.cancel()
        self._armed_for = spoke
        self._timer = self._timers.call_at(spoke * _TICK_S, self._turn)

    def _turn(self) -> None:
        self._timer = None
        # See `serving.deadline`: a spoke's own time may come out just below its number.
        now = int(self._timers.time() / _TICK_S + 1e-6)
        for spoke in sorted(number for number in self._spokes if number <= now):
            for request, waiting in self._spokes.pop(spoke).items():
                del self._spoke_of[request]
                self._late(waiting)
        if self._spokes:
            self._arm(min(self._spokes))
