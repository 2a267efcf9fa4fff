"""Decides after each answer whether its request is traced, and makes its spans; the others cost a comparison each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from serving.errors import BadRequest, ServingError, UnknownModel, error_of
from serving.inference import CallerContext, Request, VersionKey
from serving.observation import BatchSeen, Flown
from serving.telemetry.caller_context import sampled, trace_of
from serving.telemetry.tracing.choice import FAILED, SAMPLED, SLOW, Bound, Share
from serving.telemetry.tracing.otlp import link, resource
from serving.telemetry.tracing.request_spans import ID_BITS, Outcome, SpanMaker, Traced, TracedBatch, batch_link

_NEVER_S: Final = 1e12
NONE: Mapping[Request, str] = {}
# What a model is called of which only its caller knows the name.
UNKNOWN: Final = "unknown"
# Replicas come and go; what was forgotten is made again in microseconds.
_MOST_REPLICAS: Final = 1_000
_TRACE_BYTES: Final = 16
# Now and then one trace costs 40 us, of which 30 are the processor's way back to code that it has not run for a while;
# so many of them hold up the next answers for some 0.3 ms.
_TOGETHER: Final = 32


class Spans(Protocol):
    """Where spans go."""

    def offer(self, resource: bytes, spans: bytes, count: int) -> None:
        """Take so many spans of a process, joined, or drop them; never waits."""


class Exemplars(Protocol):
    """Keeps, for the histograms, a request that can be looked at."""

    def exemplar(self, key: VersionKey, variant: str, total_s: float, trace_id: str, at_s: float) -> None:
        """This request took so long in all, was answered then (seconds since 1970), and is traced."""


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """`share` of the requests whose caller does not decide that; `per_s` bounds traces of either kind.

    `slow_s` None traces none for being slow. `service` names what spans are of, `attributes` are the gateway's.
    """

    share: float = 0.01
    slow_s: float | None = 1.0
    failed: bool = True
    follow_callers: bool = True
    per_s: float = 100.0
    service: str = "sluice"
    attributes: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """What a tracer takes chance, ids and times from; `new_bits` makes a number of so many bits."""

    chance: Callable[[], float]
    new_bits: Callable[[int], int]
    clock: Callable[[], float]
    wall_clock: Callable[[], float]


class Tracer:
    """Called once for each batch; `counts` are traces by why they were made, or "limited" where too many would have
    been.

    The spans of batches are made some traces at a time, and by `flush`: once a second, and before the sender ends.
    """

    def __init__(self, options: TraceOptions, spans: Spans, exemplars: Exemplars, sources: Sources) -> None:
        self._options = options
        self._spans = spans
        self._exemplars = exemplars
        self._sources = sources
        self._follow = options.follow_callers
        self._share = Share(options.share, sources.chance)
        self._slow_s = _NEVER_S if options.slow_s is None else options.slow_s
        self._sampled = Bound(options.per_s)
        self._late = Bound(options.per_s)
        self._gateway = resource({"service.name": f"{options.service}-gateway", **(options.attributes or {})})
        self._replicas: dict[str, bytes] = {}
        self._unmade: list[TracedBatch] = []
        self._unmade_traces = 0
        self.counts = dict.fromkeys((SAMPLED, SLOW, FAILED, "limited"), 0)

    def batch_answered(self, seen: BatchSeen, flown: Flown) -> Mapping[Request, str]:
        """Trace of a batch's requests those that are to be; tells their traces' ids."""
        failed = seen.outcome != "ok" and failure(error_of(seen.outcome, ""))
        chosen = self._chosen(seen, flown, failed=failed)
        # Most batches have nothing for a trace.
        if not chosen:
            return NONE
        every: list[Traced] = []
        ids: dict[Request, str] = {}
        for place, why in chosen:
            request = flown.requests[place]
            one = self._begin(request, why)
            one.total_s = seen.total_s[place]
            every.append(one)
            ids[request] = one.trace_id.hex()
        outcome = Outcome(seen.key.model, seen.key, seen.variant, seen.outcome, failed, flown.answered_at)
        self._unmade.append(TracedBatch(every, outcome, seen, flown))
        self._unmade_traces += len(every)
        if self._unmade_traces >= _TOGETHER:
            self.flush()
        return ids

    def flush(self) -> None:
        """Have the spans made of every batch whose spans are not made yet."""
        unmade, self._unmade, self._unmade_traces = self._unmade, [], 0
        if unmade:
            maker = self._maker()
            for batch in unmade:
                self._trace(batch, maker)

    def refused(self, request: Request, why: ServingError, now: float) -> str:
        """Trace a request that was answered with an error outside of a batch, if it is to be; its trace's id, or ""."""
        failed = failure(why)
        reason = self._why(request, now - request.received_at, now, failed=failed)
        if reason is None:
            return ""
        one = self._begin(request, reason)
        chosen = request.chosen
        # A name that no route has is the caller's own text.
        model = UNKNOWN if chosen is None and isinstance(why, UnknownModel) else request.model
        outcome = Outcome(model, chosen, request.variant, why.reason, failed, now)
        spans = self._maker().own(one, outcome)
        self._spans.offer(self._gateway, b"".join(spans), len(spans))
        return one.trace_id.hex()

    def turned_away(self, model: str, reason: str, context: CallerContext | None) -> str:
        """Trace what an edge refused before it was a request, where its caller traces it; its trace's id, or ""."""
        caller = trace_of(context)
        if context is None or caller is None or not self._follow or not sampled(context):
            return ""
        now = self._sources.clock()
        if not self._has_room(now):
            return ""
        self.counts[SAMPLED] += 1
        error = error_of(reason, "")
        # What is only an edge's to say, such as unknown_path, is no error of the tree: there the caller was mistaken.
        failed = error.reason == reason and failure(error)
        outcome = Outcome(model or UNKNOWN, None, "", reason, failed, now)
        own = self._sources.new_bits(ID_BITS) + 1
        self._spans.offer(self._gateway, self._maker().turned_away(caller, own, outcome, context), 1)
        return caller.trace_id.hex()

    def _chosen(self, seen: BatchSeen, flown: Flown, *, failed: bool) -> list[tuple[int, str]]:
        """The places of a batch's requests that are traced, and why."""
        requests, now = flown.requests, flown.answered_at
        if seen.outcome != "ok" or self._special(requests, now):
            found: list[tuple[int, str]] = []
            for place, request in enumerate(requests):
                why = self._why(request, seen.total_s[place], now, failed=failed)
                if why is not None:
                    found.append((place, why))
            return found
        return [(place, SAMPLED) for place in self._share.among(len(requests)) if self._has_room(now)]

    def _has_room(self, now: float) -> bool:
        """Whether one more sample may be traced; counts it where not."""
        if self._sampled.takes(now):
            return True
        self.counts["limited"] += 1
        return False

    def _special(self, requests: list[Request], answered_at: float) -> bool:
        """Whether one of them may be traced whatever chance says: by its caller, or as a slow one."""
        follow, latest = self._follow, answered_at - self._slow_s
        # That is a little later than their times were taken, so it misses no slow one.
        return any(request.received_at < latest or (follow and request.context is not None) for request in requests)

    def _why(self, request: Request, total_s: float, now: float, *, failed: bool) -> str | None:
        """Why it is traced, if it is; one that has no room as a sample may have some because it is slow or failed."""
        context = request.context
        if context is not None and context.traceparent and self._follow:
            wanted = sampled(context)
        else:
            wanted = self._share.takes()
        if wanted and self._sampled.takes(now):
            return SAMPLED
        if failed and self._options.failed:
            why = FAILED
        elif total_s > self._slow_s:
            why = SLOW
        else:
            self.counts["limited"] += wanted
            return None
        if self._late.takes(now):
            return why
        self.counts["limited"] += 1
        return None

    def _begin(self, request: Request, why: str) -> Traced:
        self.counts[why] += 1
        new_bits = self._sources.new_bits
        root = new_bits(ID_BITS) + 1
        caller = None if request.context is None else trace_of(request.context)
        if caller is not None and self._follow:
            return Traced(request, why, caller.trace_id, root, caller)
        trace_id = new_bits(8 * _TRACE_BYTES).to_bytes(_TRACE_BYTES, "big")
        if caller is None:
            return Traced(request, why, trace_id, root, None)
        # Ours must not be lost in a stranger's: a new one begins (W3C Trace Context, section 3.4).
        left = link(caller.trace_id, int.from_bytes(caller.span_id, "big"))
        return Traced(request, why, trace_id, root, None, left)

    def _trace(self, batch: TracedBatch, maker: SpanMaker) -> None:
        made = maker.batch(batch)
        links = b""
        for one in batch.every:
            spans = maker.in_batch(one, batch, links)
            if not links:
                # The batch stands in the trace of the first one; the others point there.
                spans += made.gateway
                links = batch_link(one)
            self._spans.offer(self._gateway, b"".join(spans), len(spans))
            if batch.outcome.reason == "ok":
                at_s = maker.day_s(batch.outcome.answered_at)
                self._exemplars.exemplar(batch.key, batch.outcome.variant, one.total_s, one.trace_id.hex(), at_s)
        if made.replica:
            self._spans.offer(self._replica(batch.replica), b"".join(made.replica), len(made.replica))

    def _replica(self, name: str) -> bytes:
        found = self._replicas.get(name)
        if found is None:
            if len(self._replicas) >= _MOST_REPLICAS:
                self._replicas.clear()
            names = {"service.name": f"{self._options.service}-pool", "service.instance.id": name}
            found = self._replicas[name] = resource(names)
        return found

    def _maker(self) -> SpanMaker:
        return SpanMaker(self._sources.wall_clock() - self._sources.clock())


def failure(error: ServingError) -> bool:
    """Whether it is ours: mistakes of callers are no failures."""
    return not isinstance(error, BadRequest)
