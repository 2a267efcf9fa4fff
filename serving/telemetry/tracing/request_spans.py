"""The spans of a request, and of the batch that it ran in, made afterwards from the times that were taken anyway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from serving.inference import Request, VersionKey
from serving.observation import BatchSeen, Flown
from serving.telemetry.caller_context import CallerTrace, request_id_of
from serving.telemetry.tracing import otlp

# A batch that went on without the request, or was called back: what it did after that is not this request's.
_LEFT = otlp.attributes({"sluice.batch.left": True})


class Traced(NamedTuple):
    """A request that is traced, and why; `root` is its own span, `links` lead from there to a trace that it left."""

    request: Request
    why: str
    trace_id: bytes
    root: bytes
    caller: CallerTrace | None
    links: bytes = b""


class Outcome(NamedTuple):
    """What became of a request, and when it was answered; `failed` where that is a failure of ours."""

    model: str
    version: VersionKey | None
    variant: str
    reason: str
    failed: bool
    answered_at: float


class BatchSpans(NamedTuple):
    """The spans of a batch (`otlp.span_bytes`): those of the gateway, and those of the replica that ran it."""

    gateway: Sequence[bytes]
    replica: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class SpanMaker:
    """Makes spans of what happened on the gateway's monotonic clock, which is `offset_s` behind that of the day."""

    offset_s: float
    new_id: Callable[[int], bytes]

    def own(self, one: Traced, outcome: Outcome) -> list[bytes]:
        """The request from its last byte to its answer, its stages, and the batch that it did not wait for."""
        taken_at, answered_at = one.request.taken_at, outcome.answered_at
        made = [self._root(one, outcome, b""), *self._before(one, taken_at or answered_at)]
        if taken_at:
            ids = otlp.Ids(one.trace_id, self.new_id(8), one.root)
            times = self._ns(taken_at), self._ns(answered_at)
            made.append(otlp.span_bytes("batch", ids, *times, otlp.INTERNAL, _LEFT))
        return made

    def in_batch(self, one: Traced, outcome: Outcome, flown: Flown, links: bytes) -> list[bytes]:
        """The same of a request that a batch answered, and its stage after that."""
        made = [self._root(one, outcome, links), *self._before(one, flown.taken_at)]
        if outcome.reason == "ok":
            made.append(self._stage("encode", one, flown.landed_at, flown.answered_at))
        return made

    def batch(self, every: Sequence[Traced], batch_id: bytes, seen: BatchSeen, flown: Flown) -> BatchSpans:
        """The batch in the trace of the first of its traced requests, linked to the others.

        Where it ran elsewhere a hop leads there. Of that side the gateway knows how long the batch waited and ran,
        measured there, but not when that began: what the hop took beside it is shared out evenly before and after.
        """
        trace_id, of = every[0].trace_id, _version(seen.key, seen.variant)
        links = b"".join([otlp.link(one.trace_id, one.root) for one in every[1:]])
        counts = otlp.attributes({"sluice.batch.rows": seen.rows, "sluice.batch.requests": len(flown.requests)})
        taken, landed = self._ns(flown.taken_at), self._ns(flown.landed_at)
        under = otlp.Ids(trace_id, batch_id, every[0].root)
        if seen.outcome != "ok":
            # Nobody measured where it failed, nor on which replica.
            more = of + counts + links + otlp.FAILED
            return BatchSpans((otlp.span_bytes("batch", under, taken, landed, otlp.INTERNAL, more),), ())
        run_ns, waited_ns = int(flown.run_s * 1e9), int(flown.waited_s * 1e9)
        batch = otlp.span_bytes("batch", under, taken, landed, otlp.INTERNAL, of + counts + links)
        if not flown.replica:
            began = landed - run_ns if run_ns else taken
            run = otlp.span_bytes("run", otlp.Ids(trace_id, self.new_id(8), batch_id), began, landed)
            return BatchSpans((batch, run), ())
        hop_id = self.new_id(8)
        hop = otlp.Ids(trace_id, hop_id, batch_id)
        to = otlp.span_bytes("hop", hop, taken, landed, otlp.CLIENT, _replica(flown.replica))
        arrived = taken + max(landed - taken - run_ns - waited_ns, 0) // 2
        began = arrived + waited_ns
        ran = otlp.span_bytes("run", otlp.Ids(trace_id, self.new_id(8), hop_id), began, began + run_ns, otlp.SERVER, of)
        if not waited_ns:
            return BatchSpans((batch, to), (ran,))
        waited = otlp.span_bytes("wait", otlp.Ids(trace_id, self.new_id(8), hop_id), arrived, began)
        return BatchSpans((batch, to), (waited, ran))

    def _root(self, one: Traced, outcome: Outcome, links: bytes) -> bytes:
        caller = one.caller
        version = 0 if outcome.version is None else outcome.version.version
        more = (
            _told(outcome.model, version, outcome.variant, outcome.reason, one.why),
            otlp.attributes(_own_facts(one.request)),
            one.links,
            links,
            b"" if caller is None else otlp.state(caller.state),
            otlp.FAILED if outcome.failed else b"",
        )
        ids = otlp.Ids(one.trace_id, one.root, b"" if caller is None else caller.span_id)
        times = self._ns(one.request.received_at), self._ns(outcome.answered_at)
        return otlp.span_bytes(f"predict {outcome.model}", ids, *times, otlp.SERVER, b"".join(more))

    def _before(self, one: Traced, ended_at: float) -> list[bytes]:
        """The stages before the batch; a request that was refused early went through few of them."""
        request = one.request
        made = []
        if request.accepted_at > request.received_at:
            made.append(self._stage("decode", one, request.received_at, request.accepted_at))
        if request.features_s:
            made.append(self._stage("features", one, request.queued_at - request.features_s, request.queued_at))
        if request.chosen is not None:
            made.append(self._stage("queue", one, request.queued_at, ended_at))
        return made

    def _stage(self, name: str, one: Traced, start: float, end: float) -> bytes:
        return otlp.span_bytes(name, otlp.Ids(one.trace_id, self.new_id(8), one.root), self._ns(start), self._ns(end))

    def _ns(self, clock_s: float) -> int:
        return int((clock_s + self.offset_s) * 1e9)


def _own_facts(request: Request) -> Mapping[str, str | float]:
    """What is told of a request alone: nothing of what it asked but the name that its caller gave it."""
    told: dict[str, str | float] = {"sluice.rows": request.rows}
    if request.degraded:
        told["sluice.degraded"] = request.degraded
    named = request_id_of(request.context)
    if named:
        told["sluice.request_id"] = named
    return told


# These are the same for many requests; what was forgotten is made again in microseconds.
@lru_cache(maxsize=1024)
def _told(model: str, version: int, variant: str, outcome: str, why: str) -> bytes:
    told: dict[str, str | float] = {"sluice.model": model, "sluice.outcome": outcome, "sluice.traced": why}
    if version:
        told["sluice.version"] = version
    if variant:
        told["sluice.variant"] = variant
    return otlp.attributes(told)


@lru_cache(maxsize=1024)
def _version(key: VersionKey, variant: str) -> bytes:
    return otlp.attributes({"sluice.model": key.model, "sluice.version": key.version, "sluice.variant": variant})


@lru_cache(maxsize=1024)
def _replica(name: str) -> bytes:
    return otlp.attributes({"sluice.replica": name})
