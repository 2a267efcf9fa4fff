"""Rows that wait for a slot: bounded, counted in rows and bytes, taken in batches of equal shapes."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

from serving.errors import Overloaded, ServingError, TooLarge
from serving.inference import Request

_LEFT_AT_MOST = 256
# Batches that may leave, one after another, before rows that wait behind them have one: nobody starves.
_PASSED_OVER_AT_MOST = 8
_EVERYBODY = 1 << 30

_Lanes = dict[Hashable, deque[Request]]


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Rows of one batch, the rows and bytes that may wait, and the levels of priority with the one of most requests.

    Level 1 leaves first. A request that asks for no level, or for one that there is not, has the default one. Levels
    below the default one are bulk: they get what the others leave. For `longest_wait_s` rows may be made to wait for
    others where that pays.
    """

    max_rows: int = 64
    queue_rows: int = 4_096
    queue_bytes: int = 64 << 20
    priority_levels: int = 3
    default_priority: int = 2
    longest_wait_s: float = 0.0

    def is_bulk(self, priority: int) -> bool:
        """A request of this priority may wait for all of the default level."""
        return bool(priority) and self.level_of(priority) > self.default_priority

    def level_of(self, priority: int) -> int:
        """The level of a request that asks for this priority."""
        return priority if 1 <= priority <= self.priority_levels else self.default_priority


class TotalRows:
    """Rows that wait in all queues of a worker, those of bulk among them, and the most that may."""

    __slots__ = ("bulk", "most", "rows")

    def __init__(self, most: int = 65_536) -> None:
        self.most = most
        self.rows = self.bulk = 0

    def refusal(self, rows: int, *, bulk: bool = False) -> ServingError | None:
        """Why so many more cannot wait, or None; bulk has half of the room at most."""
        if rows > self.most:
            return TooLarge(
                f"{rows} rows are more than the {self.most} that ever wait in a worker; "
                "send fewer rows a request (or raise http.max_queued_rows)"
            )
        if self.rows + rows > self.most:
            return Overloaded(
                f"{self.rows} rows of all models are waiting already, of {self.most} that may in a worker "
                "(http.max_queued_rows); try again later"
            )
        if bulk and _is_over_half(self.bulk, rows, self.most):
            return Overloaded(
                f"{self.bulk} rows of low priority of all models are waiting already, of {self.most // 2} that may in "
                "a worker (half of http.max_queued_rows); try again later"
            )
        return None


class Span(NamedTuple):
    """Rows `start` to `stop` of a request, which run together."""

    request: Request
    start: int
    stop: int


class RowQueue:
    """Requests in the order of arrival, one lane for each group of equal shapes.

    A request with more rows than fit is taken in spans: after each span the rest goes to the end of its lane, so that
    spans of different requests alternate and a large one holds up the others by no more than one batch.

    Each level of priority has lanes of its own. The lowest level that waits leaves first, and what room its batch has
    is filled with rows of the same group from the next ones. So that nobody starves, every ninth batch is one of the
    highest level that waits.

    `total` is shared with the worker's other queues.
    """

    def __init__(self, limits: QueueLimits, total: TotalRows | None = None) -> None:
        self.limits = limits
        self._total = TotalRows() if total is None else total
        # Where nobody asks for a priority there is only this, and one look at an empty dictionary a batch.
        self._lanes: _Lanes = {}
        self._other_levels: dict[int, _Lanes] = {}
        self._passed_over = 0
        # Rows of every level but the default one.
        self._level_rows: dict[int, int] = {}
        self._bulk_bytes = 0
        self.rows = 0
        self.bytes = 0
        self._left = 0

    def __bool__(self) -> bool:
        return bool(self._lanes or self._other_levels)

    def refusal(self, rows: int, size: int, priority: int = 0) -> ServingError | None:
        """Why a request of so many rows and bytes cannot wait here, or None."""
        limits = self.limits
        if rows > limits.queue_rows:
            return TooLarge(
                f"{rows} rows are more than the queue of {limits.queue_rows} rows ever holds; "
                "send fewer rows a request (or raise batching.queue_rows)"
            )
        if size > limits.queue_bytes:
            return TooLarge(
                f"{size} bytes are more than the queue of {limits.queue_bytes} bytes ever holds; "
                "send fewer rows a request (or raise batching.queue_mb)"
            )
        if self.rows + rows > limits.queue_rows or self.bytes + size > limits.queue_bytes:
            return Overloaded(f"{self.rows} rows are waiting already, of {limits.queue_rows} that may; try again later")
        if limits.is_bulk(priority):
            return self._refusal_of_bulk(rows, size) or self._total.refusal(rows, bulk=True)
        return self._total.refusal(rows)

    def _refusal_of_bulk(self, rows: int, size: int) -> ServingError | None:
        """Work that may wait must not fill the place of what may not."""
        limits, waiting = self.limits, self._bulk_rows()
        if _is_over_half(waiting, rows, limits.queue_rows):
            return _too_much_bulk(waiting, limits.queue_rows, "rows")
        if _is_over_half(self._bulk_bytes, size, limits.queue_bytes):
            return _too_much_bulk(self._bulk_bytes, limits.queue_bytes, "bytes")
        return None

    @property
    def only_bulk(self) -> bool:
        """All that waits may wait: nothing is of the default level or above it."""
        levels = self._other_levels
        return bool(levels) and not self._lanes and min(levels) > self.limits.default_priority

    @property
    def of_one_shape(self) -> bool:
        """All that waits may run together."""
        levels = self._other_levels
        return len({*self._lanes}.union(*levels.values()) if levels else self._lanes) <= 1

    def rows_by_level(self) -> dict[int, int]:
        """Rows that wait, of each level of priority that has some."""
        default = self.rows - sum(self._level_rows.values())
        rows = {**self._level_rows, self.limits.default_priority: default}
        return {level: rows[level] for level in sorted(rows) if rows[level]}

    def rows_before(self, priority: int) -> int:
        """Waiting rows that leave before those of a request of this priority that comes now."""
        if not self._level_rows:
            return self.rows
        level = self.limits.level_of(priority)
        return self.rows - sum([rows for other, rows in self._level_rows.items() if other > level])

    def oldest(self) -> Request | None:
        """A request of the next batch, the one that came first of its lane; it may have left by now."""
        for lanes in (self._lanes,) if not self._other_levels else [lanes for _, lanes in self._levels()]:
            for lane in lanes.values():
                return lane[0]
        return None

    def add(self, request: Request) -> None:
        """Put the request at the end of its lane; ask `refusal` first."""
        lanes = self._lanes if not request.priority else self._lanes_of(request)
        lane = lanes.get(request.group)
        if lane is None:
            lane = lanes[request.group] = deque()
        lane.append(request)
        request.queued_rows = request.rows
        self._count(request, request.rows, request.size)

    def put_back(self, span: Span) -> None:
        """Put rows that never ran in front again; only for requests that were taken whole.

        They were let in before, so no bound refuses them: until what is over is gone, nobody new is let in.
        """
        request = span.request
        self._lanes_of(request).setdefault(request.group, deque()).appendleft(request)
        request.queued_rows = request.rows
        self._count(request, request.rows, request.size)

    def released(self, request: Request) -> None:
        """A waiting request was answered or left: its rows and bytes are free at once."""
        if request.queued_rows:
            self._count(request, -request.queued_rows, -request.size)
            request.queued_rows = 0
            self._left += 1
            if self._left > _LEFT_AT_MOST and self._left > self.rows:
                self._sweep()

    def take(
        self, now: float, most_rows: int = _EVERYBODY, joining_rows: int = _EVERYBODY, bulk_rows: int = _EVERYBODY
    ) -> list[Span]:
        """The next rows that may run together, oldest lane first; those that left or expired are dropped.

        `now` is on the clock of the deadlines. No more than `most_rows`, unless one request that fits into the largest
        batch has more and is no bulk; of those that may wait longer than the first, no more than `joining_rows` join.
        A batch that begins with bulk has no more than `bulk_rows` of it. May be empty although the queue was not.
        """
        most_rows = min(most_rows, self.limits.max_rows)
        if self._other_levels:
            return self._take_by_level(now, most_rows, joining_rows, bulk_rows)
        return self._take_from(self._lanes, now, most_rows)

    def _take_from(self, lanes: _Lanes, now: float, most_rows: int) -> list[Span]:
        for group in list(lanes):
            lane = lanes.pop(group)
            spans = self._fill(lane, [], now, most_rows)
            if lane:
                # To the end: lanes take turns.
                lanes[group] = lane
            if spans:
                return spans
        return []

    def _take_by_level(self, now: float, most_rows: int, joining_rows: int, bulk_rows: int) -> list[Span]:
        """A batch of the first level that has one, filled up from the others."""
        levels = self._levels()
        passed_over = self._passed_over >= _PASSED_OVER_AT_MOST
        if passed_over:
            levels.reverse()
        spans: list[Span] = []
        first = joined = 0
        for position, (level, lanes) in enumerate(levels):
            if not spans:
                bulk = level > self.limits.default_priority
                spans = self._take_from(lanes, now, min(most_rows, bulk_rows) if bulk else most_rows)
                first = position
                # Those that were passed over are joined by such as may wait less.
                joined = most_rows if passed_over else min(most_rows, _rows_of(spans) + joining_rows)
            elif self._has_room(spans):
                self._join(lanes, spans, now, joined)
        waiting = any(lanes for _, lanes in levels[first + 1 :]) if spans else False
        self._passed_over = self._passed_over + 1 if waiting and self._passed_over < _PASSED_OVER_AT_MOST else 0
        self._other_levels = {level: lanes for level, lanes in self._other_levels.items() if lanes}
        return spans

    def _count(self, request: Request, rows: int, size: int) -> None:
        self.rows += rows
        self.bytes += size
        self._total.rows += rows
        if request.priority:
            self._count_level(self.limits.level_of(request.priority), rows, size)

    def _count_level(self, level: int, rows: int, size: int) -> None:
        usual = self.limits.default_priority
        if level == usual:
            return
        if level > usual:
            self._bulk_bytes += size
            self._total.bulk += rows
        rows += self._level_rows.pop(level, 0)
        if rows:
            self._level_rows[level] = rows

    def _bulk_rows(self) -> int:
        return sum([rows for level, rows in self._level_rows.items() if level > self.limits.default_priority])

    def _levels(self) -> list[tuple[int, _Lanes]]:
        """What waits, the level that leaves first in front."""
        levels = {**self._other_levels, self.limits.default_priority: self._lanes}
        return [(level, levels[level]) for level in sorted(levels) if levels[level]]

    def _lanes_of(self, request: Request) -> _Lanes:
        level = self.limits.level_of(request.priority)
        return self._lanes if level == self.limits.default_priority else self._other_levels.setdefault(level, {})

    def _has_room(self, spans: list[Span]) -> bool:
        """Whether others may join: nobody does where the last one has rows left over, or runs alone."""
        last = spans[-1].request
        return not last.queued_rows and not last.alone

    def _join(self, lanes: _Lanes, spans: list[Span], now: float, most_rows: int) -> None:
        """Add what fits of another level's lane of the same group."""
        group = spans[0].request.group
        lane = lanes.get(group)
        if lane is not None:
            self._fill(lane, spans, now, most_rows)
            if not lane:
                del lanes[group]

    def _fill(self, lane: deque[Request], spans: list[Span], now: float, most_rows: int) -> list[Span]:
        """`spans`, with what fits of the lane into so many rows added."""
        largest = self.limits.max_rows
        room = most_rows - _rows_of(spans) if spans else most_rows
        while lane and room > 0:
            request = lane.popleft()
            if not request.waiting or request.deadline_s <= now:
                continue
            wanted = request.queued_rows
            if spans and (request.alone or room < wanted <= largest):
                # It fits into the next batch whole, which spares joining its answer.
                lane.appendleft(request)
                return spans
            # What may wait is also taken in parts, or whoever may not would wait for all of it.
            whole = request.rows <= largest and (request.alone or not self.limits.is_bulk(request.priority))
            span = self._span(request, wanted if whole else min(wanted, room))
            spans.append(span)
            room -= span.stop - span.start
            if request.queued_rows:
                lane.append(request)
            if request.queued_rows or request.alone:
                return spans
        return spans

    def _span(self, request: Request, rows: int) -> Span:
        start = request.rows - request.queued_rows
        request.queued_rows -= rows
        # Its bytes are kept until its last row is taken.
        self._count(request, -rows, 0 if request.queued_rows else -request.size)
        return Span(request, start, start + rows)

    def _sweep(self) -> None:
        """Forget those who left; taking does so too, but nothing is taken while a model hangs."""
        self._left = 0
        self._lanes = _kept(self._lanes)
        swept = {level: _kept(lanes) for level, lanes in self._other_levels.items()}
        self._other_levels = {level: lanes for level, lanes in swept.items() if lanes}

    def empty(self) -> list[Request]:
        """Take everybody out who still waits."""
        lanes = [lane for _, lanes in self._levels() for lane in lanes.values()]
        self._lanes.clear()
        self._other_levels.clear()
        return [request for lane in lanes for request in lane if request.waiting]


def _is_over_half(held: int, more: int, most: int) -> bool:
    """Bulk would have more than half of the room; one request alone may."""
    return held + more > max(most // 2, more)


def _too_much_bulk(held: int, most: int, what: str) -> Overloaded:
    return Overloaded(f"{held} {what} of low priority are waiting already, of {most // 2} that may; try again later")


def _rows_of(spans: list[Span]) -> int:
    return sum([stop - start for _, start, stop in spans])


def _kept(lanes: _Lanes) -> _Lanes:
    kept = {group: deque(request for request in lane if request.waiting) for group, lane in lanes.items()}
    # Callers choose shapes, so an empty lane may never be used again.
    return {group: lane for group, lane in kept.items() if lane}
