"""Runs what waits as soon as a slot is free: no timer, no added latency when idle, larger batches when busy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from serving.batching.deferral import Deferral
from serving.batching.fair_share import FairShare
from serving.batching.gate import Gate
from serving.batching.pace import Pace
from serving.batching.row_queue import QueueLimits, RowQueue, Span
from serving.batching.surroundings import Surroundings
from serving.errors import ModelFailed, NotReady, ServingError
from serving.inference import Request

log = logging.getLogger(__name__)

# Runs inside the gateway need not suspend, so a full queue would run empty in one callback of the loop. Each lasts a
# few milliseconds at most, and none may begin in a callback that has lasted this long.
_LONGEST_TURN_S = 0.002


class MicroBatcher:
    """The queue of one variant and the tasks that empty it, never more at once than there are slots.

    `gate` says who cannot be answered in time.
    """

    def __init__(self, name: str, limits: QueueLimits, pace: Pace, around: Surroundings) -> None:
        self.virtual_s = 0.0
        self.pace = pace
        self._name = name
        self._queue = RowQueue(limits, around.total)
        self._limits = limits
        self._clock = around.clock
        self._refuse = around.refuse
        self._shares = around.shares
        self._share = around.shares.of(long=pace.long)
        self._alone = around.alone
        self._lag = around.lag
        self._waits = around.waits
        self.gate = Gate(name, pace, self._queue, self, around)
        self._deferral: Deferral | None = None
        if limits.longest_wait_s:
            self._deferral = Deferral(self._queue, pace, self.gate, around, self._waited)
        self._run: Callable[[list[Span]], Awaitable[None]] = _nobody
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._starting = False
        self._slots = 0

    @property
    def waiting_rows(self) -> int:
        """Rows that have not been taken yet."""
        return self._queue.rows

    def rows_by_level(self) -> dict[int, int]:
        """The same, by level of priority."""
        return self._queue.rows_by_level()

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing runs."""
        return not self._running and not self._queue.rows

    @property
    def bulk(self) -> bool:
        """All that waits may wait for everybody else's."""
        return self._queue.only_bulk

    def expected_s(self, request: Request, rows: int) -> tuple[float, float]:
        """Estimated seconds of a batch of the request and others, and those from which on it is late; 0 for bulk."""
        estimate = self.pace.estimate
        return estimate.run_s(rows), 0.0 if self._limits.is_bulk(request.priority) else estimate.late_s(rows)

    def waiting_s(self) -> float:
        """Estimated seconds of a server that what waits will take."""
        return self.pace.queue_s(self._queue.rows)

    def runs(self, run: Callable[[list[Span]], Awaitable[None]]) -> None:
        """Have batches answered by `run`, which answers every request of the spans it is given."""
        self._run = run

    def is_bulk(self, priority: int) -> bool:
        """A request of this priority may wait for everybody of the default level."""
        return self._limits.is_bulk(priority)

    def refusal(self, rows: int, size: int, priority: int = 0) -> ServingError | None:
        """Why a request of so many rows and bytes would be refused now, or None."""
        if not self._slots:
            return NotReady(f"no replica of {self._name} is ready; try again in a moment")
        return self._queue.refusal(rows, size, priority)

    def add(self, request: Request) -> None:
        """Queue the request, or answer it at once with why not."""
        refused = self.refusal(request.rows, request.size, request.priority) or self.gate.too_late(request)
        if refused is not None:
            self._refuse(request, refused)
            return
        self._queue.add(request)
        if not request.priority or not self._limits.is_bulk(request.priority):
            self.pace.drain.came += request.rows
        if self._deferral is not None:
            self._deferral.came(request)
        if not self._starting and self._running < self._slots:
            self._start()
            if self._deferral is not None:
                self._deferral.foretell(request)

    def put_back(self, spans: list[Span]) -> None:
        """Queue whole requests again that a lost replica never began to run, in front of all others."""
        for span in reversed(spans):
            if not self._slots:
                self._refuse(span.request, self._nobody_left())
            elif span.request.waiting:
                self._queue.put_back(span)
        if self._deferral is not None:
            self._deferral.came_back()
        self._wake()

    def released(self, request: Request) -> None:
        """A request of this queue was answered or left."""
        self._queue.released(request)

    def set_slots(self, slots: int, servers: int) -> None:
        """How many batches may be under way, and run, at once; with none, everybody who waits is told so."""
        self._slots = slots
        self.pace.serve_by(servers)
        if self._alone:
            self._shares.resize(slots, servers)
        if not slots:
            self._shares.forget(self)
            for request in self._queue.empty():
                self._refuse(request, self._nobody_left())
        self._wake()

    async def stop(self) -> None:
        """Let what runs end, and refuse what waits; call once nothing is added any more."""
        self.set_slots(0, 0)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def begin(self, share: FairShare, *, bulk: bool) -> bool:
        """Its turn on slots that it shares; see `fair_share.Entrant`."""
        if not self._queue or self._starting or self._running >= self._slots:
            return False
        self._begin(share, bulk=bulk)
        return True

    def _nobody_left(self) -> NotReady:
        return NotReady(f"the last replica of {self._name} went away; try again in a moment")

    def _wake(self) -> None:
        if self._queue and not self._starting and self._running < self._slots:
            self._start()

    def _start(self) -> None:
        if self._deferral is None or self._running or not self._deferral.waits():
            self._enter()

    def _enter(self) -> None:
        share = self._shares.of(long=self.pace.long)
        if share is not self._share:
            # Each has a clock of its own: one that came with hours on the other's would wait for all who have less.
            self._share.forget(self)
            self._share, self.virtual_s = share, 0.0
        bulk = self._queue.only_bulk
        if share.enters(self, bulk=bulk):
            self._begin(share, bulk=bulk)

    def _begin(self, share: FairShare, *, bulk: bool) -> None:
        # One task starts in a turn of the loop: by the time it takes, every request that arrived in the same turn has
        # been queued, so a burst becomes one batch and not a batch of one and the rest.
        self._starting = True
        self._running += 1
        if self._deferral is not None:
            self._deferral.end()
        self._lag.watch()
        task = asyncio.get_running_loop().create_task(self._work(share, bulk=bulk), name=self._name)
        self._tasks.add(task)

    async def _work(self, share: FairShare, *, bulk: bool) -> None:
        self._starting = False
        began = self._clock()
        try:
            while self._running <= self._slots:
                now = self._clock()
                spans = self._take(now)
                if not spans:
                    return
                self._wake()
                self._note(spans[0].request, now)
                rows = sum([stop - start for _, start, stop in spans])
                self.pace.drain.took(rows, self._queue.rows, now)
                estimated_s = self.pace.estimate.run_s(rows)
                share.charge(self, estimated_s, now)
                try:
                    await self._guarded(spans)
                finally:
                    taken_at, now = now, self._clock()
                    share.settle(self, estimated_s, now - taken_at, now)
                if not self._queue or share.others_wait(self) or (self._queue.only_bulk and not bulk):
                    return
                if now - began > _LONGEST_TURN_S:
                    await asyncio.sleep(0)
                    began = self._clock()
        finally:
            # Here and not in a callback of the task: that runs a turn later, and who is queued meanwhile would strand.
            self._running -= 1
            task = asyncio.current_task()
            if task is not None:
                self._tasks.discard(task)
            # Among those who wait, before the slot is handed on to one of them.
            self._wake()
            share.leaves(bulk=bulk)

    def _take(self, now: float) -> list[Span]:
        """The next batch, as large as the time of its oldest row allows."""
        pace, queue = self.pace, self._queue
        if pace.brief:
            return queue.take(now)
        if queue.only_bulk:
            return queue.take(now, pace.bulk_rows)
        oldest = queue.oldest()
        slack_s = pace.goal_s if oldest is None else self.gate.due_at(oldest) - now
        return queue.take(now, pace.rows_now(slack_s), pace.joining_rows, pace.bulk_rows)

    def _note(self, oldest: Request, now: float) -> None:
        if not self._limits.is_bulk(oldest.priority):
            self._waits.note(now - oldest.queued_at, self.pace.may_wait_s, self.pace.goal_s, self._queue.rows)

    def _waited(self) -> None:
        if self._queue and not self._starting and self._running < self._slots:
            self._enter()

    async def _guarded(self, spans: list[Span]) -> None:
        try:
            await self._run(spans)
        except Exception:
            # A defect of ours must not strand the callers of this batch, nor stop the queue.
            log.exception("a batch of %s failed in the gateway", self._name)
            for span in spans:
                self._refuse(span.request, ModelFailed("the gateway failed on this batch; its log says why"))


async def _nobody(spans: list[Span]) -> None:
    for span in spans:
        span.request.reply(NotReady("this model is not served yet; try again in a moment"))
