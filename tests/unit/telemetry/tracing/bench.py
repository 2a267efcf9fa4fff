"""A tracer with a clock and chance of the test's own, and requests for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from serving.errors import ServingError
from serving.inference import Answer, CallerContext, Request, VersionKey
from serving.observation import BatchSeen, Flown
from serving.telemetry.tracing import otlp
from serving.telemetry.tracing.tracer import Sources, TraceOptions, Tracer
from tests.integration.trace_receiver import Received, spans_of

KEY = VersionKey("m", 3)
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
# The day begins so long after the monotonic clock.
DAY_S = 1_000_000.0


class Nobody:
    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        pass


class Bench:
    """What a tracer was told to keep: `spans` read back from the bytes, `exemplars` by their time."""

    def __init__(self, options: TraceOptions, chances: Sequence[float] = (0.5,)) -> None:
        self._offered: list[tuple[bytes, bytes]] = []
        self._exemplars: list[tuple[VersionKey, str, float, str, float]] = []
        numbers = itertools.count(1)
        chance = itertools.cycle(chances)
        sources = Sources(lambda: next(chance), lambda _: next(numbers) << 8, lambda: 0.0, lambda: DAY_S)
        self.tracer = Tracer(options, self, self, sources)

    def offer(self, resource: bytes, spans: bytes, count: int) -> None:
        assert len(spans_of(otlp.request([(resource, [spans])], "1"))) == count
        self._offered.append((resource, spans))

    def exemplar(self, key: VersionKey, variant: str, total_s: float, trace_id: str, at_s: float) -> None:
        self._exemplars.append((key, variant, total_s, trace_id, at_s))

    @property
    def exemplars(self) -> list[tuple[VersionKey, str, float, str, float]]:
        self.tracer.flush()
        return self._exemplars

    @property
    def spans(self) -> list[Received]:
        self.tracer.flush()
        return self.made

    @property
    def made(self) -> list[Received]:
        """Without asking for those that are not made yet."""
        return spans_of(otlp.request([(resource, [span]) for resource, span in self._offered], "1"))

    def named(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]

    def answer(self, *requests: Request, at: float = 0.010, outcome: str = "ok", replica: str = "r1") -> None:
        """Requests of one batch: taken after 4 ms, back after 8, of which it waited 0.5 and ran for 2."""
        took = [at - request.received_at for request in requests]
        seen = BatchSeen(KEY, "stable", len(requests), took, took, 0.004, 0.002, took, outcome)
        flown = Flown(list(requests), 0.004, 0.008, at, 0.002, 0.0005 if replica else 0.0, replica)
        self.tracer.batch_answered(seen, flown)


def request(context: CallerContext | None = None, features_s: float = 0.0) -> Request:
    """Received at 0, decoded after 1 ms, its way known after 3."""
    made = Request("m", (), Nobody(), 0.0)
    made.accepted_at, made.queued_at, made.features_s, made.chosen = 0.001, 0.003, features_s, KEY
    made.context = context
    return made


def asked_for(flags: str = "01", state: bytes = b"", name: bytes = b"") -> CallerContext:
    """What a caller that traces says."""
    return CallerContext(f"00-{TRACE}-{PARENT}-{flags}".encode(), state, name)
