"""Runs what waits as soon as a slot is free: no timer, no added latency when idle, larger batches when busy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from serving.batching.row_queue import QueueLimits, RowQueue, Span
from serving.errors import ModelFailed, NotReady, ServingError
from serving.inference import Request

log = logging.getLogger(__name__)

# Runs inside the gateway need not suspend, so a full queue would run empty in one callback of the loop. Each lasts a
# few milliseconds at most, and none may begin in a callback that has lasted this long.
_LONGEST_TURN_S = 0.002

Refuse = Callable[[Request, ServingError], None]


class MicroBatcher:
    """The queue of one variant and the tasks that empty it, never more at once than there are slots.

    `refuse` answers a request that will not run, and counts it.
    """

    def __init__(self, name: str, limits: QueueLimits, clock: Callable[[], float], refuse: Refuse) -> None:
        self._name = name
        self._queue = RowQueue(limits)
        self._clock = clock
        self._refuse = refuse
        self._run: Callable[[list[Span]], Awaitable[None]] = _nobody
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._starting = False
        self._slots = 0

    @property
    def waiting_rows(self) -> int:
        """Rows that have not been taken yet."""
        return self._queue.rows

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing runs."""
        return not self._running and not self._queue.rows

    def runs(self, run: Callable[[list[Span]], Awaitable[None]]) -> None:
        """Have batches answered by `run`, which answers every request of the spans it is given."""
        self._run = run

    def refusal(self, rows: int, size: int) -> ServingError | None:
        """Why a request of so many rows and bytes would be refused now, or None."""
        if not self._slots:
            return NotReady(f"no replica of {self._name} is ready; try again in a moment")
        return self._queue.refusal(rows, size)

    def add(self, request: Request) -> None:
        """Queue the request, or answer it at once with why not."""
        refused = self.refusal(request.rows, request.size)
        if refused is not None:
            self._refuse(request, refused)
            return
        self._queue.add(request)
        if not self._starting and self._running < self._slots:
            self._start()

    def put_back(self, spans: list[Span]) -> None:
        """Queue whole requests again that a lost replica never began to run, in front of all others."""
        for span in reversed(spans):
            if not self._slots:
                self._refuse(span.request, self._nobody_left())
            elif span.request.waiting:
                self._queue.put_back(span)
        self._wake()

    def released(self, request: Request) -> None:
        """A request of this queue was answered or left."""
        self._queue.released(request)

    def set_slots(self, slots: int) -> None:
        """How many batches may run at once; with none, everybody who waits is told so."""
        self._slots = slots
        if not slots:
            for request in self._queue.empty():
                self._refuse(request, self._nobody_left())
        self._wake()

    async def stop(self) -> None:
        """Let what runs end, and refuse what waits; call once nothing is added any more."""
        self.set_slots(0)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _nobody_left(self) -> NotReady:
        return NotReady(f"the last replica of {self._name} went away; try again in a moment")

    def _wake(self) -> None:
        if self._queue and not self._starting and self._running < self._slots:
            self._start()

    def _start(self) -> None:
        # One task starts in a turn of the loop: by the time it takes, every request that arrived in the same turn has
        # been queued, so a burst becomes one batch and not a batch of one and the rest.
        self._starting = True
        self._running += 1
        task = asyncio.get_running_loop().create_task(self._work(), name=self._name)
        self._tasks.add(task)

    async def _work(self) -> None:
        self._starting = False
        began = self._clock()
        try:
            while self._running <= self._slots:
                spans = self._queue.take(self._clock())
                if not spans:
                    return
                self._wake()
                await self._guarded(spans)
                if self._clock() - began > _LONGEST_TURN_S:
                    await asyncio.sleep(0)
                    began = self._clock()
        finally:
            # Here and not in a callback of the task: that runs a turn later, and who is queued meanwhile would strand.
            self._running -= 1
            task = asyncio.current_task()
            if task is not None:
                self._tasks.discard(task)

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
