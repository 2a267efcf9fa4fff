"""What becomes of a batch that failed as a whole: rows are tried again apart, so that only the guilty ones fail."""

from __future__ import annotations

from collections.abc import Callable

from serving.batching.row_queue import Span
from serving.errors import ModelFailed, NotReady, Poisonous, ReplicaLost, ServingError, TooLarge
from serving.inference import Request
from serving.request_path.flight import Flight
from serving.request_path.suspects import Suspects, fingerprint, poisonous
from serving.request_path.variants import Variant

# Runs that one failed batch may cost: a single bad row among 64 is found in 12.
_BISECTION_BUDGET = 24


class Rescue:
    """Retries after a crash and bisection after a failure; `fly` makes the flight of a part.

    `refuse` answers a request that nothing ran, or has another version do so.
    """

    def __init__(
        self,
        suspects: Suspects,
        fly: Callable[[Variant, list[Span]], Flight],
        refuse: Callable[[Request, ServingError], None],
    ) -> None:
        self._suspects = suspects
        self._fly = fly
        self._refuse = refuse

    async def after_loss(self, flight: Flight, lost: ReplicaLost) -> None:
        """Inference is idempotent: rows that never began are queued again, the others run once more, each alone."""
        variant = flight.variant
        if not lost.started:
            await self._again(variant, flight.waiting_spans())
            return
        spans = flight.waiting_spans()
        # Once for this crash, however many of its rows are alike.
        for mark in {fingerprint(variant.key, span.request) for span in spans}:
            self._suspects.crashed_with(mark)
        for span in spans:
            if span.request.waiting:
                await self._alone(variant, span)

    async def after_failure(self, flight: Flight, failed: ServingError) -> None:
        """Bisect within a budget; what is left when it is spent fails with the batch's own error."""
        budget = _BISECTION_BUDGET
        parts: list[tuple[Flight, ServingError]] = [(flight, failed)]
        while parts:
            ran, error = parts.pop()
            if len(ran.spans) == 1 or budget < 2:  # noqa: PLR2004 - both halves have to run
                ran.fail(error)
                continue
            spans = ran.waiting_spans()
            # The larger half first: of two that failed together the one that is still there may be innocent.
            middle = (len(spans) + 1) // 2
            for part in (spans[:middle], spans[middle:]):
                # Callers leave and run out of time while the other half runs.
                half = _waiting(part)
                if not half:
                    continue
                budget -= 1
                tried = self._fly(flight.variant, half)
                caught = await self._try(tried)
                if caught is not None:
                    parts.append((tried, caught))

    def without_replica(self, flight: Flight, away: NotReady) -> None:
        """Nothing that lives hosts its version: no row began to run."""
        for span in flight.waiting_spans():
            self._refuse(span.request, away)

    def cleared(self, flight: Flight) -> None:
        """A suspect ran without harm."""
        for span in flight.waiting_spans():
            self._suspects.answered(fingerprint(flight.variant.key, span.request))

    async def _again(self, variant: Variant, spans: list[Span]) -> None:
        whole = [span for span in spans if span.stop - span.start == span.request.rows]
        for span in whole:
            span.request.taken_at = 0.0
        variant.batcher.put_back(whole)
        for span in spans:
            if span not in whole and span.request.waiting:
                await self._alone(variant, span)

    async def _alone(self, variant: Variant, span: Span) -> None:
        mark = fingerprint(variant.key, span.request)
        part = self._fly(variant, [span])
        try:
            # It, or another row of the same bytes, may have been at two crashes by now.
            self._suspects.examine(variant.key, span.request)
            outputs = await part.run(alone=True)
        except ReplicaLost as lost:
            if not lost.started:
                await self._again(variant, part.waiting_spans())
                return
            guilty = self._suspects.crashed_with(mark)
            part.fail(Poisonous(poisonous(variant.key)) if guilty else lost)
        except NotReady as away:
            self.without_replica(part, away)
        except ServingError as error:
            part.fail(error)
        else:
            self._suspects.answered(mark)
            if outputs is not None:
                part.land(outputs)

    async def _try(self, part: Flight) -> ServingError | None:
        try:
            outputs = await part.run()
        except ReplicaLost as lost:
            await self.after_loss(part, lost)
        except (ModelFailed, TooLarge) as failed:
            return failed
        except NotReady as away:
            self.without_replica(part, away)
        except ServingError as error:
            part.fail(error)
        else:
            if outputs is not None:
                part.land(outputs)
        return None


def _waiting(spans: list[Span]) -> list[Span]:
    return [span for span in spans if span.request.waiting]
