"""Rows that wait for a slot: bounded, counted in rows and bytes, taken in batches of equal shapes."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

from serving.errors import Overloaded, ServingError, TooLarge
from serving.inference import Request

_LEFT_AT_MOST = 256


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Rows of one batch, and the rows and bytes that may wait."""

    max_rows: int = 64
    queue_rows: int = 4_096
    queue_bytes: int = 64 << 20


class Span(NamedTuple):
    """Rows `start` to `stop` of a request, which run together."""

    request: Request
    start: int
    stop: int


class RowQueue:
    """Requests in the order of arrival, one lane for each group of equal shapes.

    A request with more rows than fit is taken in spans: after each span the rest goes to the end of its lane, so that
    spans of different requests alternate and a large one holds up the others by no more than one batch.
    """

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._lanes: dict[Hashable, deque[Request]] = {}
        self.rows = 0
        self.bytes = 0
        self._left = 0

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def refusal(self, rows: int, size: int) -> ServingError | None:
        """Why a request of so many rows and bytes cannot wait here, or None."""
        limits = self._limits
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
        return None

    def add(self, request: Request) -> None:
        """Put the request at the end of its lane; ask `refusal` first."""
        lane = self._lanes.get(request.group)
        if lane is None:
            lane = self._lanes[request.group] = deque()
        lane.append(request)
        request.queued_rows = request.rows
        self.rows += request.rows
        self.bytes += request.size

    def put_back(self, span: Span) -> None:
        """Put rows that never ran in front again; only for requests that were taken whole."""
        request = span.request
        self._lanes.setdefault(request.group, deque()).appendleft(request)
        request.queued_rows = request.rows
        self.rows += request.rows
        self.bytes += request.size

    def released(self, request: Request) -> None:
        """A waiting request was answered or left: its rows and bytes are free at once."""
        if request.queued_rows:
            self.rows -= request.queued_rows
            self.bytes -= request.size
            request.queued_rows = 0
            self._left += 1
            if self._left > _LEFT_AT_MOST and self._left > self.rows:
                self._sweep()

    def take(self, now: float) -> list[Span]:
        """The next rows that may run together, oldest lane first; those that left or expired are dropped.

        `now` is on the clock of the deadlines. May be empty although the queue was not.
        """
        for group in list(self._lanes):
            lane = self._lanes.pop(group)
            spans = self._fill(lane, now)
            if lane:
                # To the end: lanes take turns.
                self._lanes[group] = lane
            if spans:
                return spans
        return []

    def _fill(self, lane: deque[Request], now: float) -> list[Span]:
        room = self._limits.max_rows
        spans: list[Span] = []
        while lane and room:
            request = lane.popleft()
            if not request.waiting or request.deadline_s <= now:
                continue
            wanted = request.queued_rows
            if spans and (request.alone or room < wanted <= self._limits.max_rows):
                # It fits into the next batch whole, which spares joining its answer.
                lane.appendleft(request)
                return spans
            span = self._span(request, min(wanted, room))
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
        self.rows -= rows
        if not request.queued_rows:
            self.bytes -= request.size
        return Span(request, start, start + rows)

    def _sweep(self) -> None:
        """Forget those who left; taking does so too, but nothing is taken while a model hangs."""
        self._left = 0
        kept = {group: deque(request for request in lane if request.waiting) for group, lane in self._lanes.items()}
        # Callers choose shapes, so an empty lane may never be used again.
        self._lanes = {group: lane for group, lane in kept.items() if lane}

    def empty(self) -> list[Request]:
        """Take everybody out who still waits."""
        waiting = [request for lane in self._lanes.values() for request in lane if request.waiting]
        self._lanes.clear()
        return waiting
