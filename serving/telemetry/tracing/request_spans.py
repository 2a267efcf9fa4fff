"""The spans of a request, and of the batch that it ran in, made afterwards from the times that were taken anyway."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from serving.inference import CallerContext, Request, VersionKey
from serving.observation import BatchSeen, Flown
from serving.telemetry.caller_context import CallerTrace, request_id_of
from serving.telemetry.tracing import otlp
from serving.telemetry.tracing.choice import SAMPLED

# A batch that went on without the request, or was called back: what it did after that is not this request's.
_LEFT: Final = otlp.attributes({"sluice.batch.left": True})
# Ids of the spans of one request follow its own, so that chance is asked once; a batch is a span of its first request.
_DECODE: Final = 1
_FEATURES: Final = 2
_QUEUE: Final = 3
_ENCODE: Final = 4
_BATCH: Final = 5
_HOP: Final = 6
_WAIT: Final = 7
_RUN: Final = 8
# The bits that chance gives a request's own span, the others being left for its followers; 0 is no id.
ID_BITS: Final = 63


class Traced:
    """A request that is traced, and why; `root` is its own span, `links` lead from there to a trace that it left.

    It has the times of the request and not the request, whose body would stay with it until its spans are made;
    `total_s` is how long it took in all, where a batch answered it.
    """

    __slots__ = (
        "accepted_at",
        "caller",
        "context",
        "degraded",
        "features_s",
        "links",
        "queued_at",
        "received_at",
        "root",
        "routed",
        "rows",
        "taken_at",
        "total_s",
        "trace_id",
        "why",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - what is known of it, made once for each
        self, request: Request, why: str, trace_id: bytes, root: int, caller: CallerTrace | None, links: bytes = b""
    ) -> None:
        self.received_at = request.received_at
        self.accepted_at = request.accepted_at
        self.queued_at = request.queued_at
        self.taken_at = request.taken_at
        self.features_s = request.features_s
        self.routed = request.chosen is not None
        self.rows = request.rows
        self.degraded = request.degraded
        self.context = request.context
        self.total_s = 0.0
        self.why = why
        self.trace_id = trace_id
        self.root = root
        self.caller = caller
        self.links = links


class Outcome(NamedTuple):
    """What became of a request, and when it was answered; `failed` where that is a failure of ours."""

    model: str
    version: VersionKey | None
    variant: str
    reason: str
    failed: bool
    answered_at: float


class TracedBatch:
    """A batch that was answered, by its `outcome`, and `every` one of its requests that is traced, one at least."""

    __slots__ = (
        "every",
        "key",
        "landed_at",
        "outcome",
        "replica",
        "requests",
        "rows",
        "run_s",
        "taken_at",
        "waited_s",
    )

    def __init__(self, every: list[Traced], outcome: Outcome, seen: BatchSeen, flown: Flown) -> None:
        self.every = every
        self.outcome = outcome
        self.key = seen.key
        self.rows = seen.rows
        self.requests = len(flown.requests)
        self.taken_at = flown.taken_at
        self.landed_at = flown.landed_at
        self.run_s = flown.run_s
        self.waited_s = flown.waited_s
        self.replica = flown.replica


class BatchSpans(NamedTuple):
    """The spans of a batch (`otlp.span_bytes`): those of the gateway, and those of the replica that ran it."""

    gateway: Sequence[bytes]
    replica: Sequence[bytes]


class SpanMaker:
    """Makes spans of what happened on the gateway's monotonic clock, which is `offset_s` behind that of the day."""

    __slots__ = ("_offset_s",)

    def __init__(self, offset_s: float) -> None:
        self._offset_s = offset_s

    def own(self, one: Traced, outcome: Outcome) -> list[bytes]:
        """The request from its last byte to its answer, its stages, and the batch that it did not wait for."""
        taken_at, answered_at = one.taken_at, outcome.answered_at
        made = [self._root(one, outcome, b"")]
        self._before(one, taken_at or answered_at, made)
        if taken_at:
            ids = otlp.Ids(one.trace_id, one.root + _BATCH, one.root)
            made.append(otlp.span_bytes("batch", ids, self._ns(taken_at), self._ns(answered_at), otlp.INTERNAL, _LEFT))
        return made

    def in_batch(self, one: Traced, of: TracedBatch, links: bytes) -> list[bytes]:
        """The same of a request that a batch answered, and its stage after that."""
        made = [self._root(one, of.outcome, links)]
        self._before(one, of.taken_at, made)
        if of.outcome.reason == "ok":
            made.append(self._stage("encode", _ENCODE, one, of.landed_at, of.outcome.answered_at))
        return made

    def turned_away(self, caller: CallerTrace, own: int, outcome: Outcome, context: CallerContext) -> bytes:
        """What an edge refused before it was a request: one span of the caller's, of no length."""
        more = _told(outcome.model, 0, "", outcome.reason, SAMPLED) + _named(context) + otlp.state(caller.state)
        if outcome.failed:
            more += otlp.FAILED
        ids = otlp.Ids(caller.trace_id, own, int.from_bytes(caller.span_id, "big"))
        at = self._ns(outcome.answered_at)
        return otlp.span_bytes("refused", ids, at, at, otlp.SERVER, more)

    def batch(self, of: TracedBatch) -> BatchSpans:
        """The batch in the trace of the first of its traced requests (`batch_link`), linked to the others.

        Where it ran elsewhere a hop leads there. Of that side the gateway knows how long the batch waited and ran,
        measured there, but not when that began: what the hop took beside it is shared out evenly before and after.
        """
        first, *others = of.every
        trace_id, root = first.trace_id, first.root
        version = _version(of.key, of.outcome.variant)
        more = version + _counts(of.rows, of.requests)
        if others:
            more += b"".join([otlp.link(one.trace_id, one.root) for one in others])
        taken, landed = self._ns(of.taken_at), self._ns(of.landed_at)
        under = otlp.Ids(trace_id, root + _BATCH, root)
        if of.outcome.reason != "ok":
            # Nobody measured where it failed, nor on which replica.
            return BatchSpans((otlp.span_bytes("batch", under, taken, landed, otlp.INTERNAL, more + otlp.FAILED),), ())
        run_ns, waited_ns = int(of.run_s * 1e9), int(of.waited_s * 1e9)
        batch = otlp.span_bytes("batch", under, taken, landed, otlp.INTERNAL, more)
        if not of.replica:
            began = landed - run_ns if run_ns else taken
            run = otlp.span_bytes("run", otlp.Ids(trace_id, root + _RUN, root + _BATCH), began, landed)
            return BatchSpans((batch, run), ())
        hop = otlp.Ids(trace_id, root + _HOP, root + _BATCH)
        to = otlp.span_bytes("hop", hop, taken, landed, otlp.CLIENT, _replica(of.replica))
        arrived = taken + max(landed - taken - run_ns - waited_ns, 0) // 2
        began = arrived + waited_ns
        ids = otlp.Ids(trace_id, root + _RUN, root + _HOP)
        ran = otlp.span_bytes("run", ids, began, began + run_ns, otlp.SERVER, version)
        if not waited_ns:
            return BatchSpans((batch, to), (ran,))
        waited = otlp.span_bytes("wait", otlp.Ids(trace_id, root + _WAIT, root + _HOP), arrived, began)
        return BatchSpans((batch, to), (waited, ran))

    def _root(self, one: Traced, outcome: Outcome, links: bytes) -> bytes:
        caller = one.caller
        version = 0 if outcome.version is None else outcome.version.version
        more = _told(outcome.model, version, outcome.variant, outcome.reason, one.why)
        more += _answered(one.rows, one.degraded) + _named(one.context) + one.links + links
        parent = 0
        if caller is not None:
            parent = int.from_bytes(caller.span_id, "big")
            more += otlp.state(caller.state)
        if outcome.failed:
            more += otlp.FAILED
        start, end = self._ns(one.received_at), self._ns(outcome.answered_at)
        ids = otlp.Ids(one.trace_id, one.root, parent)
        return otlp.span_bytes(f"predict {outcome.model}", ids, start, end, otlp.SERVER, more)

    def _before(self, one: Traced, ended_at: float, made: list[bytes]) -> None:
        """The stages before the batch; a request that was refused early went through few of them."""
        if one.accepted_at > one.received_at:
            made.append(self._stage("decode", _DECODE, one, one.received_at, one.accepted_at))
        if one.features_s:
            read_at = one.queued_at - one.features_s
            made.append(self._stage("features", _FEATURES, one, read_at, one.queued_at))
        if one.routed:
            made.append(self._stage("queue", _QUEUE, one, one.queued_at, ended_at))

    def _stage(self, name: str, place: int, one: Traced, start: float, end: float) -> bytes:
        ids = otlp.Ids(one.trace_id, one.root + place, one.root)
        return otlp.span_bytes(name, ids, self._ns(start), self._ns(end))

    def day_s(self, clock_s: float) -> float:
        """A time of the gateway's clock in seconds since 1970."""
        return clock_s + self._offset_s

    def _ns(self, clock_s: float) -> int:
        return int((clock_s + self._offset_s) * 1e9)


def batch_link(first: Traced) -> bytes:
    """A link to the batch that stands in the trace of this request."""
    return otlp.link(first.trace_id, first.root + _BATCH)


def _named(context: CallerContext | None) -> bytes:
    """The name that its caller gave a request: nothing else is told of what it asked."""
    named = "" if context is None else request_id_of(context)
    return otlp.attributes({"sluice.request_id": named}) if named else b""


# These are the same for many requests; what was forgotten is made again in microseconds.
@lru_cache(maxsize=1024)
def _answered(rows: int, degraded: str) -> bytes:
    told: dict[str, str | int] = {"sluice.rows": rows}
    if degraded:
        told["sluice.degraded"] = degraded
    return otlp.attributes(told)


@lru_cache(maxsize=1024)
def _counts(rows: int, requests: int) -> bytes:
    return otlp.attributes({"sluice.batch.rows": rows, "sluice.batch.requests": requests})


@lru_cache(maxsize=1024)
def _told(model: str, version: int, variant: str, outcome: str, why: str) -> bytes:
    told: dict[str, str | int] = {"sluice.model": model, "sluice.outcome": outcome, "sluice.traced": why}
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
