"""The spans of a request, and of the batch that it ran in, made afterwards from the times that were taken anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from serving.inference import Request, VersionKey
from serving.observation import BatchSeen, Flown
from serving.telemetry.caller_context import CallerTrace, request_id_of
from serving.telemetry.tracing import otlp
from serving.telemetry.tracing.otlp import Span


class Traced(NamedTuple):
    """A request that is traced, and why; `root` is its own span."""

    request: Request
    why: str
    trace_id: bytes
    root: bytes
    caller: CallerTrace | None


class Outcome(NamedTuple):
    """What became of a request, and when it was answered; `failed` where that is a failure of ours."""

    model: str
    version: VersionKey | None
    variant: str
    reason: str
    failed: bool
    answered_at: float


class BatchSpans(NamedTuple):
    """The spans of a batch: those of the gateway, and those of the replica that ran it."""

    gateway: Sequence[Span]
    replica: Sequence[Span]


@dataclass(frozen=True, slots=True)
class SpanMaker:
    """Makes spans of what happened on the gateway's monotonic clock, which is `offset_s` behind that of the day."""

    offset_s: float
    new_id: Callable[[int], bytes]

    def own(self, one: Traced, outcome: Outcome, links: bytes = b"") -> Iterator[Span]:
        """The request from its last byte to its answer, and its stages up to the batch."""
        yield self._root(one, outcome, links)
        for name, start, end in _before(one.request, outcome.answered_at):
            yield self._span(name, one, start, end)

    def in_batch(self, one: Traced, outcome: Outcome, flown: Flown, links: bytes) -> Iterator[Span]:
        """The same of a request that a batch answered, and its stage after that."""
        yield self._root(one, outcome, links)
        for name, start, end in _before(one.request, flown.taken_at):
            yield self._span(name, one, start, end)
        yield self._span("encode", one, flown.landed_at, flown.answered_at)

    def batch(self, every: Sequence[Traced], batch_id: bytes, seen: BatchSeen, flown: Flown) -> BatchSpans:
        """The batch in the trace of the first of its traced requests, linked to the others.

        Where it ran elsewhere a hop leads there. Of that side the gateway knows how long the batch waited and ran,
        measured there, but not when that began: what the hop took beside it is shared out evenly before and after.
        """
        trace_id, of = every[0].trace_id, _version(seen)
        links = b"".join([otlp.link(one.trace_id, one.root) for one in every[1:]])
        told = {**of, "sluice.batch.rows": seen.rows, "sluice.batch.requests": len(flown.requests)}
        taken, landed = self._ns(flown.taken_at), self._ns(flown.landed_at)
        attributes = otlp.attributes(told)
        batch = Span("batch", trace_id, batch_id, every[0].root, taken, landed, attributes=attributes, links=links)
        run_ns, waited_ns = int(flown.run_s * 1e9), int(flown.waited_s * 1e9)
        if not flown.replica:
            began = landed - run_ns if run_ns else taken
            return BatchSpans((batch, Span("run", trace_id, self.new_id(8), batch_id, began, landed)), ())
        hop_id = self.new_id(8)
        to = otlp.attributes({"sluice.replica": flown.replica})
        hop = Span("hop", trace_id, hop_id, batch_id, taken, landed, otlp.CLIENT, to)
        arrived = taken + max(landed - taken - run_ns - waited_ns, 0) // 2
        began = arrived + waited_ns
        ran = Span("run", trace_id, self.new_id(8), hop_id, began, began + run_ns, otlp.SERVER, otlp.attributes(of))
        if not waited_ns:
            return BatchSpans((batch, hop), (ran,))
        return BatchSpans((batch, hop), (Span("wait", trace_id, self.new_id(8), hop_id, arrived, began), ran))

    def _root(self, one: Traced, outcome: Outcome, links: bytes) -> Span:
        request, caller = one.request, one.caller
        times = self._ns(request.received_at), self._ns(outcome.answered_at)
        return Span(
            f"predict {outcome.model}",
            one.trace_id,
            one.root,
            b"" if caller is None else caller.span_id,
            *times,
            otlp.SERVER,
            otlp.attributes(_facts(one, outcome)),
            links,
            "" if caller is None else caller.state,
            outcome.failed,
        )

    def _span(self, name: str, one: Traced, start: float, end: float) -> Span:
        return Span(name, one.trace_id, self.new_id(8), one.root, self._ns(start), self._ns(end))

    def _ns(self, clock_s: float) -> int:
        return int((clock_s + self.offset_s) * 1e9)


def _facts(one: Traced, outcome: Outcome) -> Mapping[str, str | float]:
    """What is told of a request: names of ours and its caller's name for it, and nothing of what it asked."""
    request = one.request
    told: dict[str, str | float] = {
        "sluice.model": outcome.model,
        "sluice.outcome": outcome.reason,
        "sluice.rows": request.rows,
        "sluice.traced": one.why,
    }
    if outcome.version is not None:
        told["sluice.version"] = outcome.version.version
    if outcome.variant:
        told["sluice.variant"] = outcome.variant
    if request.degraded:
        told["sluice.degraded"] = request.degraded
    named = request_id_of(request.context)
    if named:
        told["sluice.request_id"] = named
    return told


def _version(seen: BatchSeen) -> dict[str, str | float]:
    return {"sluice.model": seen.key.model, "sluice.version": seen.key.version, "sluice.variant": seen.variant}


def _before(request: Request, ended_at: float) -> Iterator[tuple[str, float, float]]:
    """The stages before the batch; a request that was refused early went through few of them."""
    if request.accepted_at > request.received_at:
        yield "decode", request.received_at, request.accepted_at
    if request.features_s:
        yield "features", request.queued_at - request.features_s, request.queued_at
    if request.chosen is not None:
        yield "queue", request.queued_at, ended_at
