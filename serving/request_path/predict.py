"""The way of a prediction: accept a request, run a batch. Start reading here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from serving.backends.backend import Backend
from serving.batching.large_answer import LargeAnswers
from serving.batching.micro_batcher import MicroBatcher
from serving.batching.row_queue import QueueLimits, Span
from serving.deadline import DeadlineWheel, Timers
from serving.errors import DeadlineExceeded, ModelFailed, ReplicaLost, ServingError, TooLarge, UnknownModel
from serving.inference import Request
from serving.observation import Observer
from serving.request_path.flight import Flight
from serving.request_path.predictions import Description
from serving.request_path.rescue import Rescue
from serving.request_path.suspects import Suspects
from serving.request_path.variants import Variant, Variants


class Predictor:
    """What every edge calls; requests are plain objects, coroutines exist per batch."""

    def __init__(
        self, backends: Mapping[str, Backend], timers: Timers, observer: Observer, clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._wheel = DeadlineWheel(timers, self._refuse)
        self._observer = observer
        self._large = LargeAnswers()
        self.suspects = Suspects(clock)
        self._rescue = Rescue(self.suspects, self._flight)
        self.variants = Variants(backends, self.run, self._wheel, self._make_queue)

    def accept(self, request: Request) -> None:
        """Queue the request; `request.reply` is called exactly once, unless the caller has left."""
        try:
            variant = self.variants.choose(request)
            variant.intake.check(request)
            self._give_time(request, variant)
            if self.suspects:
                self.suspects.examine(variant.key, request)
        except ServingError as refused:
            self._refuse(request, refused)
            return
        request.holders = variant.holders
        if request.rows > variant.most_rows:
            request.holders = (*request.holders, self._large)
        self._wheel.watch(request)
        variant.batcher.add(request)

    async def run(self, variant: Variant, spans: list[Span]) -> None:
        """Answer a batch; what fails as a whole is taken apart, so that only the guilty rows fail."""
        flight = self._flight(variant, spans)
        alone = spans[0].request.alone
        try:
            outputs = await flight.run(alone=alone)
        except ReplicaLost as lost:
            await self._rescue.after_loss(flight, lost)
        except (ModelFailed, TooLarge) as failed:
            # Together too large for one frame, perhaps, which is no fault of a request that fits.
            await self._rescue.after_failure(flight, failed)
        except ServingError as error:
            flight.fail(error)
        else:
            if outputs is not None:
                if alone:
                    self._rescue.cleared(flight)
                flight.land(outputs)

    def describe(self, model: str, version: int | None) -> Description:
        """What an edge tells about a version; raises UnknownModel or NotReady."""
        variant = self.variants.find(model, version)
        return Description(model, variant.key.version, self.variants.versions(model), variant.hosted.signature)

    def models(self) -> list[str]:
        """Names of the models that can be asked for."""
        return self.variants.models()

    def ready(self) -> bool:
        """Every routed pool lives and has loaded what it can."""
        return self.variants.ready()

    def refusal(self, model: str, version: int | None) -> ServingError | None:
        """Why a request for this version would be refused before its body is read, or None."""
        variant = self.variants.only(model) if version is None else None
        if variant is None:
            try:
                variant = self.variants.find(model, version)
            except ServingError as refused:
                return refused
        return variant.batcher.refusal(1, 0)

    def _refuse(self, request: Request, why: ServingError) -> None:
        if request.waiting:
            # A name that no route has is the caller's own text, and no label.
            known = "" if isinstance(why, UnknownModel) else request.model
            self._observer.refused(known, why.reason)
            request.reply(why)

    def _make_queue(self, name: str, limits: QueueLimits) -> MicroBatcher:
        return MicroBatcher(name, limits, self._clock, self._refuse)

    def _flight(self, variant: Variant, spans: list[Span]) -> Flight:
        return Flight(variant, spans, self._clock, self._large, self._observer.batch_seen)

    def _give_time(self, request: Request, variant: Variant) -> None:
        allowed_s = variant.deadline_s if request.timeout_s is None else request.timeout_s
        request.deadline_s = request.received_at + allowed_s
        request.queued_at = self._clock()
        if request.deadline_s <= request.queued_at:
            raise DeadlineExceeded(
                f"the {allowed_s * 1000:g} ms that this request may take were over before it was read; "
                "ask for more time with the header x-request-timeout-ms"
            )
