"""Whether a batch that could begin waits for one more row, and until when; who would be late for it ends the wait."""

from __future__ import annotations

from collections.abc import Callable

from serving.batching.arrivals import Arrivals
from serving.batching.gate import Gate
from serving.batching.pace import Pace
from serving.batching.row_queue import RowQueue
from serving.batching.surroundings import Surroundings
from serving.deadline import Timer
from serving.inference import Request


class Deferral:
    """The waits of a queue whose rows may be made to wait; `begin` is called when one is over."""

    __slots__ = ("_arrivals", "_begin", "_clock", "_due_at", "_gate", "_pace", "_queue", "_timer", "_timers", "_until")

    def __init__(
        self, queue: RowQueue, pace: Pace, gate: Gate, around: Surroundings, begin: Callable[[], None]
    ) -> None:
        self._arrivals = Arrivals(queue.limits.longest_wait_s)
        self._begin = begin
        self._clock = around.clock
        self._gate = gate
        self._pace = pace
        self._queue = queue
        self._timers = around.timers
        self._timer: Timer | None = None
        self._due_at = self._until = 0.0

    def came(self, request: Request) -> None:
        """The request was queued."""
        self._arrivals.saw(request.queued_at)
        due_at = self._gate.due_at(request)
        # Those who were taken since nobody waited count on: where rows are left over, others are not waited for.
        self._due_at = due_at if self._queue.rows == request.rows else min(self._due_at, due_at)

    def came_back(self) -> None:
        """Rows were queued again that had been taken: nothing waits until nobody is left."""
        self._due_at = float("-inf")

    def waits(self) -> bool:
        """Whether what is queued waits on; looked at whenever somebody came."""
        queue, pace = self._queue, self._pace
        # Rows that cannot run together would wait for nothing.
        if queue.rows < pace.window.most_rows and queue.of_one_shape and not queue.only_bulk:
            if self._timer is not None:
                if self._until + pace.estimate.late_s(queue.rows) <= self._due_at:
                    return True
            else:
                now = self._clock()
                wait_s = self._arrivals.wait_s(pace.estimate, queue.rows, self._due_at - now)
                if wait_s > 0.0:
                    self._until = now + wait_s
                    self._timer = self._timers.call_at(self._until, self._over)
                    return True
        self.end()
        return False

    def foretell(self, request: Request) -> None:
        """Count what is left of the wait in the time that the request is expected to take."""
        if self._timer is not None and request.predicted_s:
            request.predicted_s += max(self._until - self._clock(), 0.0)

    def end(self) -> None:
        """What waited begins, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _over(self) -> None:
        self._timer = None
        self._begin()
