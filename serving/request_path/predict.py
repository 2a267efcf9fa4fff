"""The way of a prediction: accept a request, run a batch. Start reading here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

from serving.backends.backend import Backend
from serving.batching.large_answer import LargeAnswers
from serving.batching.row_queue import Span
from serving.deadline import DeadlineWheel, Timers
from serving.errors import DeadlineExceeded, ModelFailed, NotReady, ReplicaLost, ServingError, TooLarge, UnknownModel
from serving.features.entity_rows import EntityRows
from serving.features.features import Features
from serving.features.plan import ReadPlan
from serving.inference import Request
from serving.observation import Observer, RequestWatch
from serving.request_path import trials
from serving.request_path.administration import NOBODY, Administration
from serving.request_path.copies import Copy
from serving.request_path.flight import Flight
from serving.request_path.look_ups import NOTHING, LookUps
from serving.request_path.loop_look import LoopLook
from serving.request_path.mirror import Mirror
from serving.request_path.predictions import Description, InstanceForm, RunFacts
from serving.request_path.queues import Queues
from serving.request_path.read_plans import unusable, usable
from serving.request_path.rescue import Rescue
from serving.request_path.suspects import Suspects
from serving.request_path.variants import SHADOW, Variant, Variants


class Predictor:
    """What every edge calls; requests are plain objects, coroutines exist per batch."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        timers: Timers,
        observer: Observer,
        clock: Callable[[], float],
        look_ups: LookUps = NOTHING,
    ) -> None:
        self._clock = clock
        self._wheel = DeadlineWheel(timers, self._refuse)
        self._observer = observer
        self._large = LargeAnswers()
        self.administration: Administration = NOBODY
        self.watch: RequestWatch | None = None
        self.suspects = Suspects(clock)
        self._rescue = Rescue(self.suspects, self._flight, self._refuse)
        self.features = Features(look_ups.reader, self._refuse, look_ups.observer, clock, time.time)
        if look_ups.budget is not None:
            self.features.keep_time(look_ups.budget, timers, look_ups.kept)
        self.queues = Queues(timers, self._refuse, clock)
        self.look = LoopLook(timers)
        self.variants = Variants(backends, self.run, self._wheel, self.queues, look_ups.plans)
        self.mirror = Mirror(self.variants, self._wheel, self.queues, timers)
        self.variants.trials.mirror_by(self.mirror.offer)

    def accept(self, request: Request) -> None:
        """Queue the request; `request.reply` is called exactly once, unless the caller has left."""
        try:
            variant = self.variants.choose(request)
            request.chosen, request.variant = variant.key, variant.name
            self._give_time(request, variant)
            self._hand_over(variant, request)
        except ServingError as refused:
            self._refuse(request, refused)

    async def run(self, variant: Variant, spans: list[Span]) -> None:
        """Answer a batch; what fails as a whole is taken apart, so that only the guilty rows fail."""
        if variant.name == SHADOW:
            await self.mirror.run(variant, spans)
            return
        flight = self._flight(variant, spans)
        alone = spans[0].request.alone
        self.look.sent(variant.backend, len(spans))
        try:
            outputs = await flight.run(alone=alone)
        except ReplicaLost as lost:
            await self._rescue.after_loss(flight, lost)
        except (ModelFailed, TooLarge) as failed:
            # Together too large for one frame, perhaps, which is no fault of a request that fits.
            await self._rescue.after_failure(flight, failed)
        except NotReady as away:
            self._rescue.without_replica(flight, away)
        except ServingError as error:
            flight.fail(error)
        else:
            if outputs is not None:
                if alone:
                    self._rescue.cleared(flight)
                flight.land(outputs)
        finally:
            self.look.landed(variant.backend, len(spans), flight.ended_at - flight.taken_at)

    def describe(self, model: str, version: int | None) -> Description:
        """What an edge tells about a version; raises UnknownModel or NotReady."""
        variant = self.variants.find(model, version)
        plan = variant.plan if isinstance(variant.plan, ReadPlan) else None
        return Description(
            model,
            variant.key.version,
            self.variants.versions(model),
            variant.hosted.signature,
            plan=plan,
            runs=_run_facts(variant),
        )

    def instance_form(self, model: str, version: int | None) -> InstanceForm:
        """What V1 instances of a version are read by; raises as `describe` does, and ModelUnservable."""
        variant = self.variants.likely(model) if version is None else None
        if variant is None:
            variant = self.variants.find(model, version)
        return variant.hosted.signature if variant.plan is None else usable(variant.plan, variant.key)

    def models(self) -> list[str]:
        """Names of the models that can be asked for."""
        return self.variants.models()

    def ready(self) -> bool:
        """Every routed pool has lived and loaded what it can, and one still lives."""
        return self.variants.ready()

    def refusal(
        self,
        model: str,
        version: int | None,
        timeout_s: float | None = None,
        priority: int = 0,
        pinned: str | None = None,
    ) -> ServingError | None:
        """Why every variant that may answer would refuse such a request before its body is read, or None."""
        try:
            asked = self.variants.asked(model, version, pinned)
        except ServingError as refused:
            return refused
        if len(asked) > 1:
            for variant in asked:
                if _turned_away(variant, timeout_s, priority, noted=False) is None:
                    return None
        return _turned_away(asked[0], timeout_s, priority, noted=True)

    def _hand_over(self, variant: Variant, request: Request) -> None:
        if request.entities is None:
            self._enqueue(variant, request)
        else:
            self._look_up(variant, request)

    def _look_up(self, variant: Variant, request: Request) -> None:
        """Have the rows made of entities; meanwhile its time runs, and it holds neither queue nor slot."""
        in_use = variant.in_use
        if in_use is None:
            raise unusable(variant.plan, variant.key)
        if isinstance(request.entities, EntityRows):
            # Said before anything is read for it.
            refused = variant.batcher.refusal(request.entities.count, 0, request.priority)
            if refused is not None:
                raise refused
        request.holders = (self._wheel,)
        self._wheel.watch(request)
        self.features.fill(request, in_use, then=partial(self._looked_up, variant))
        self.look.reads(variant.backend)

    def _looked_up(self, variant: Variant, request: Request) -> None:
        if not self.variants.keeps(variant):
            # Another took its place, or nothing can run it any more, while rows were read. The next one may allow
            # another time, by which the wheel would no longer find it.
            self._wheel.released(request)
            self.accept(request)
            return
        self.look.read(request.features_s)
        request.queued_at = self._clock()
        try:
            self._enqueue(variant, request)
        except ServingError as refused:
            self._refuse(request, refused)

    def _enqueue(self, variant: Variant, request: Request) -> None:
        variant.intake.check(request)
        if self.suspects:
            self.suspects.examine(variant.key, request)
        request.holders = variant.holders
        if request.rows > variant.most_rows or request.priority:
            # It may run in parts.
            request.holders = (*request.holders, self._large)
        self._wheel.watch(request)
        variant.batcher.add(request)

    def _refuse(self, request: Request, why: ServingError) -> None:
        if isinstance(request.caller, Copy):
            request.reply(why)
        elif request.waiting and not (isinstance(why, NotReady) and self._stable_answers(request)):
            # A name that no route has is the caller's own text, and no label.
            known = "" if isinstance(why, UnknownModel) else request.model
            self._observer.refused(known, why.reason)
            if request.chosen is not None:
                total_s = self._clock() - request.received_at
                self._observer.failed(request.chosen, total_s, request.rows, why.reason)
            trials.failed(request, why)
            request.reply(why)
            if self.watch is not None:
                self.watch.refused(request, why, self._clock())

    def _stable_answers(self, request: Request) -> bool:
        """Nothing can run any more what the split chose for it: stable does, and it counts against the chosen one."""
        variant = self.variants.in_place_of(request)
        # Of a large one some rows may have run already.
        if variant is None or self._large in request.holders:
            return False
        for holder in request.holders:
            holder.released(request)
        trials.stood_in(request)
        request.chosen, request.variant = variant.key, variant.name
        request.alone = False
        request.taken_at = 0.0
        request.queued_at = self._clock()
        try:
            self._hand_over(variant, request)
        except ServingError as refused:
            self._refuse(request, refused)
        return True

    def _flight(self, variant: Variant, spans: list[Span]) -> Flight:
        return Flight(variant, spans, self._clock, self._large, self._observer.batch_seen, self.watch)

    def _give_time(self, request: Request, variant: Variant) -> None:
        allowed_s = variant.deadline_s if request.timeout_s is None else request.timeout_s
        request.deadline_s = request.received_at + allowed_s
        request.queued_at = self._clock()
        if request.deadline_s <= request.queued_at:
            raise DeadlineExceeded(
                f"the {allowed_s * 1000:g} ms that this request may take were over before it was read; "
                "ask for more time with the header x-request-timeout-ms"
            )


def _turned_away(variant: Variant, timeout_s: float | None, priority: int, *, noted: bool) -> ServingError | None:
    """Why it would refuse a request of one row; `noted` where nobody else is asked, as the wait that was spared."""
    batcher = variant.batcher
    if timeout_s is None and batcher.is_bulk(priority):
        # What may wait has no goal, here as in the queue.
        timeout_s = variant.deadline_s
    return batcher.refusal(1, 0, priority) or batcher.gate.turned_away(timeout_s, priority, noted=noted)


def _run_facts(variant: Variant) -> RunFacts:
    return RunFacts(
        batchable=variant.hosted.batchable,
        max_rows=variant.most_rows,
        at_once=variant.backend.slots(variant.key),
        queue_rows=variant.served.queue_rows,
        deadline_s=variant.deadline_s,
        priority_levels=variant.served.priority_levels,
        default_priority=variant.served.default_priority,
    )
