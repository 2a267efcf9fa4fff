"""Runs copies of answered requests on a shadow and compares: nothing that becomes of them reaches a caller."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from serving.batching.large_answer import LargeAnswers
from serving.batching.row_queue import Span
from serving.deadline import DeadlineWheel, Timer, Timers
from serving.errors import DeadlineExceeded, ModelFailed, NotReady, Overloaded, ReplicaLost, ServingError, TooLarge
from serving.inference import Answer, Request, VersionKey
from serving.observation import BatchSeen
from serving.request_path.arm import Answered
from serving.request_path.comparison import compare
from serving.request_path.copies import Copy, Outcome, copies_priority, original_of, own
from serving.request_path.flight import Flight
from serving.request_path.queues import Queues
from serving.request_path.rescue import Rescue
from serving.request_path.suspects import Suspects
from serving.request_path.variants import Variant, Variants
from serving.routing.table import WHOLE_BP

# Copies that wait or run, of one worker, and the bytes of their inputs; beyond, a copy is dropped.
MOST_COPIES = 256
MOST_BYTES = 8 << 20
# How soon to look again whether anybody but copies waits.
_LOOK_S = 0.002
# After a run that hung or took its replica along none begins for so long, twice as long each time.
_REST_S, _LONGEST_REST_S = 1.0, 60.0


class Mirror:
    """All copies of one worker, which run only while nobody else waits.

    `chance` gives a number below 1 for each request. On the loop's thread alone. Offering a request costs it nothing,
    since it was answered before.
    """

    def __init__(
        self,
        variants: Variants,
        wheel: DeadlineWheel,
        queues: Queues,
        timers: Timers,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._variants = variants
        self._wheel = wheel
        self._queues = queues
        self._timers = timers
        self._clock = timers.time
        self._chance = chance
        self._large = LargeAnswers()
        # Of its own: what crashes with a shadow is no reason to look at callers' requests more closely.
        self._rescue = Rescue(Suspects(timers.time), self._flight, _refused)
        self._waiting: deque[Copy] = deque()
        self._at_work: dict[Copy, Variant] = {}
        self._bytes = 0
        self._looking: Timer | None = None
        self._closed = False
        self._rests: dict[VersionKey, tuple[float, float]] = {}
        self._counts: dict[tuple[VersionKey, str], int] = {}

    @property
    def counts(self) -> Mapping[tuple[VersionKey, str], int]:
        """How many copies came to what: `ok`, `failed` or `dropped`."""
        return self._counts

    def offer(self, seen: Answered) -> None:
        """Take a copy of a request that was answered, if it falls into the share, and if there is room."""
        shadow = seen.arm.trial.shadow
        if shadow is None or not seen.inputs or self._chance() * WHOLE_BP >= shadow.share_bp:
            return
        size = sum(len(tensor.data) for tensor in seen.inputs)
        copies = len(self._waiting) + len(self._at_work)
        key = VersionKey(seen.request.model, shadow.version)
        if self._closed or copies >= MOST_COPIES or self._bytes + size > MOST_BYTES or self._rests_now(key):
            seen.arm.happened("copies.dropped")
            self._count(key, "dropped")
            return
        copy = Copy(original_of(seen, shadow), key, own(seen.inputs), self._clock(), self._ended)
        self._bytes += copy.size
        self._waiting.append(copy)
        if self._looking is None:
            # In a turn of its own: the answers of this one leave first.
            self._looking = asyncio.get_running_loop().call_soon(self._look)

    async def run(self, variant: Variant, spans: list[Span]) -> None:
        """Run copies; a replica that goes away with them is not given them a second time."""
        flight = self._flight(variant, spans)
        for copy in _copies(spans):
            copy.began = True
        try:
            outputs = await flight.run()
        except ReplicaLost as lost:
            if lost.started:
                for copy in _copies(spans[:1]):
                    copy.original.arm.crashed()
            flight.fail(lost)
        except (ModelFailed, TooLarge) as failed:
            # Of a batch only the guilty ones failed, as for callers: else one bad row would count as many.
            await self._rescue.after_failure(flight, failed)
        except ServingError as error:
            flight.fail(error)
        else:
            if outputs is not None:
                flight.land(outputs)

    def stop(self) -> None:
        """Take no more, and call back what waits or runs."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
        for copy in self._waiting:
            self._gone(copy, "dropped")
        self._waiting.clear()
        for copy in list(self._at_work):
            del self._at_work[copy]
            self._gone(copy, "dropped")
            if copy.request is not None:
                copy.request.leave()

    def _look(self) -> None:
        """Begin what waits, unless anybody else waits."""
        self._looking = None
        if not self._quiet():
            self._looking = self._timers.call_at(self._timers.time() + _LOOK_S, self._look)
            return
        while self._waiting:
            self._begin(self._waiting.popleft())

    def _quiet(self) -> bool:
        own_rows = sum({variant: variant.batcher.waiting_rows for variant in self._at_work.values()}.values())
        return self._queues.calm and self._queues.total.rows <= own_rows

    def _begin(self, copy: Copy) -> None:
        variant, now = self._variants.shadow(*copy.key), self._clock()
        if variant is None or self._rests_now(copy.key) or now - copy.since >= variant.deadline_s:
            copy.original.arm.happened("copies.dropped")
            self._gone(copy, "dropped")
            return
        request = Request(copy.key.model, copy.inputs, copy, now, version=copy.key.version)
        request.priority = copies_priority(variant.served)
        request.queued_at = now
        request.deadline_s = now + variant.deadline_s
        copy.request = request
        self._at_work[copy] = variant
        try:
            variant.intake.check(request)
        except ServingError as unfit:
            request.reply(unfit)
            return
        request.holders = (*variant.holders, self._large)
        self._wheel.watch(request)
        variant.batcher.add(request)

    def _ended(self, copy: Copy, outcome: Outcome) -> None:
        self._at_work.pop(copy, None)
        arm, key = copy.original.arm, copy.original.key
        if isinstance(outcome, Answer) and compare(copy, outcome, time.time()):
            self._rests.pop(copy.key, None)
            self._gone(copy, "ok")
        elif _dropped(copy, outcome):
            arm.happened("copies.dropped")
            self._gone(copy, "dropped")
        else:
            arm.happened("copies.failed", "copies", key)
            self._gone(copy, "failed")
            if isinstance(outcome, (DeadlineExceeded, ReplicaLost)):
                self._rest(copy.key)

    def _gone(self, copy: Copy, outcome: str) -> None:
        self._bytes -= copy.size
        self._count(copy.key, outcome)

    def _count(self, key: VersionKey, outcome: str) -> None:
        self._counts[key, outcome] = self._counts.get((key, outcome), 0) + 1

    def _rests_now(self, key: VersionKey) -> bool:
        return key in self._rests and self._clock() < self._rests[key][0]

    def _rest(self, key: VersionKey) -> None:
        # Those of the same batch are one reason to rest.
        if not self._rests_now(key):
            _, rest_s = self._rests.get(key, (0.0, _REST_S))
            self._rests[key] = self._clock() + rest_s, min(2 * rest_s, _LONGEST_REST_S)

    def _flight(self, variant: Variant, spans: list[Span]) -> Flight:
        return Flight(variant, spans, self._clock, self._large, _unseen)


def _copies(spans: Iterable[Span]) -> list[Copy]:
    return [span.request.caller for span in spans if isinstance(span.request.caller, Copy)]


def _dropped(copy: Copy, outcome: Outcome) -> bool:
    """It never had a chance, which says nothing of the version."""
    return isinstance(outcome, (Overloaded, NotReady)) or (isinstance(outcome, DeadlineExceeded) and not copy.began)


def _unseen(seen: BatchSeen) -> None:
    """Batches of copies are no model's latency: what became of them is counted here alone."""


def _refused(request: Request, why: ServingError) -> None:
    """No other version answers for a shadow."""
    request.reply(why)
