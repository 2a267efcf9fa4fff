"""Lets in what can be answered in time: mostly at a glance, else by what is ahead of it."""

from __future__ import annotations

from serving.batching.admission import Ahead
from serving.batching.fair_share import Entrant
from serving.batching.pace import Pace
from serving.batching.row_queue import RowQueue
from serving.batching.surroundings import Surroundings
from serving.errors import WouldBeLate
from serving.inference import Request


class Gate:
    """The gate before one queue, which shares slots as `of`."""

    __slots__ = (
        "_behind",
        "_clock",
        "_lag",
        "_limits",
        "_name",
        "_of",
        "_pace",
        "_queue",
        "_shares",
        "_told",
        "_told_ms",
        "_waits",
    )

    def __init__(self, name: str, pace: Pace, queue: RowQueue, of: Entrant, around: Surroundings) -> None:
        self._name = name
        self._limits = queue.limits
        self._pace = pace
        self._queue = queue
        self._of = of
        self._shares = around.shares
        self._lag = around.lag
        self._clock = around.clock
        self._waits = around.waits
        # One for all, since thousands may be turned away in a turn of the loop.
        self._behind = self._told = WouldBeLate(
            f"this gateway has more to do than it can, also for {name}; try again later"
        )
        self._told_ms = 0.0, 0

    def due_at(self, request: Request) -> float:
        """When the request should be answered: the model's goal, but for callers who say what they allow, and bulk."""
        if request.timeout_s is not None or self._limits.is_bulk(request.priority):
            return request.deadline_s
        return min(request.received_at + self._pace.goal_s, request.deadline_s)

    def too_late(self, request: Request) -> WouldBeLate | None:
        """Why the request cannot be answered in time, or None; what it will take is noted on it."""
        if request.timeout_s is None and self._at_a_glance(request.rows):
            return None
        finish_s = self._finish_s(request.rows, request.priority)
        left_s = self.due_at(request) - self._clock()
        first = self._is_first(request.rows, request.priority, left_s)
        if self._refuses(finish_s, left_s, first=first):
            if request.timeout_s is None and not self._limits.is_bulk(request.priority):
                self._note(finish_s, left_s)
            return self._refusal(finish_s, left_s)
        if self._tells(request.priority, first=first):
            request.predicted_s = finish_s
        return None

    def turned_away(self, timeout_s: float | None, priority: int = 0, *, noted: bool = True) -> WouldBeLate | None:
        """The same at the end of a head, of a row that is not read yet, so that refusing it costs little.

        Not `noted` for those who scale the pool where another version may answer it.
        """
        if timeout_s is None and self._at_a_glance(1):
            return None
        left_s = self._pace.goal_s if timeout_s is None else timeout_s
        if self._lag.seconds > left_s:
            return self._behind
        finish_s = self._finish_s(1, priority)
        if not self._refuses(finish_s, left_s, first=self._is_first(1, priority, left_s)):
            return None
        if noted and timeout_s is None:
            self._note(finish_s, left_s)
        return self._refusal(finish_s, left_s)

    def _at_a_glance(self, rows: int) -> bool:
        """There is nothing that a closer look could find."""
        shares = self._shares
        return (
            self._queue.rows + rows <= self._pace.sure_rows
            and self._lag.calm
            and not shares.short.contended
            and not shares.long.contended
        )

    def _finish_s(self, rows: int, priority: int) -> float:
        pace = self._pace
        share = self._shares.of(long=pace.long)
        before, now, drain = self._queue.rows_before(priority), self._clock(), pace.drain
        ahead = Ahead(
            share.running_s(now),
            before,
            pace.window.most_rows,
            pace.servers,
            share.others_s(self._of),
            self._lag.seconds,
            before * drain.row_s,
            drain.coming_per_s(now),
        )
        return pace.finish_s(ahead, rows)

    def _is_first(self, rows: int, priority: int, left_s: float) -> bool:
        """Nothing waits or runs before it; where its own run is thought too long already, nothing of its version."""
        if not self._queue.rows_before(priority) and self._shares.of(long=self._pace.long).idle:
            return True
        # In a pool that others keep busy one slow run would otherwise end a version for good.
        return self._of.idle and self._pace.estimate.late_s(rows) > left_s

    def _refuses(self, finish_s: float, left_s: float, *, first: bool) -> bool:
        # Whatever the estimate says: without a run now and then it could never be found wrong.
        return finish_s > left_s and (not first or self._lag.seconds > left_s)

    def _tells(self, priority: int, *, first: bool) -> bool:
        """Whether the time that it will have taken says how well others are judged."""
        if self._limits.is_bulk(priority):
            # Nobody knows who overtakes one that may wait.
            return False
        # Who is let in whatever is predicted has nothing to wait for, which only tells that others need not either.
        return not first or self._pace.drag > 1.0

    def _note(self, finish_s: float, left_s: float) -> None:
        """How long it would have waited: of those who are refused nobody else would hear."""
        late_s = finish_s - self._pace.drag * self._lag.seconds - left_s
        # What the loop loses no replica would win back.
        if late_s > 0.0:
            may_s = self._pace.may_wait_s
            self._waits.note(may_s + late_s, may_s, self._pace.goal_s, self._queue.rows)

    def _refusal(self, finish_s: float, left_s: float) -> WouldBeLate:
        # While many are refused most are told the same, rounded like this: to make it anew for each costs as much as
        # all the rest of a refusal.
        left_ms = max(round(left_s * 1000), 1)
        about_ms = round(finish_s * 1000 / left_ms, 1) * left_ms
        if self._told_ms != (about_ms, left_ms):
            self._told_ms = about_ms, left_ms
            self._told = WouldBeLate(
                f"{self._name} is busy: the answer would take about {about_ms:.0f} ms, of which {left_ms} are left; "
                "try again later",
                # Rounded they may be equal, and nobody is to try again at once.
                max(about_ms - left_ms, 0.1 * left_ms) / 1000,
            )
        return self._told
