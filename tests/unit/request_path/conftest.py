"""A predictor over the echo backend, and callers that keep their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from serving.errors import ServingError
from serving.inference import Answer, Request, Tensor, VersionKey
from serving.observation import BatchSeen
from serving.request_path.predict import Predictor
from serving.routing.table import Route, RouteTable, Served, Split
from serving.testing.backend import KEY, EchoBackend, row_of


@dataclass
class Caller:
    """Keeps what it was answered, and how often."""

    outcomes: list[Answer | ServingError] = field(default_factory=list)
    raises: bool = False

    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        self.outcomes.append(outcome)
        if self.raises:
            raise RuntimeError("an edge that breaks its promise")

    @property
    def error(self) -> ServingError:
        (outcome,) = self.outcomes
        assert isinstance(outcome, ServingError)
        return outcome

    @property
    def data(self) -> bytes:
        (outcome,) = self.outcomes
        assert isinstance(outcome, Answer), outcome
        return bytes(outcome.tensors()[0].data)


@dataclass
class Counts:
    seen: list[BatchSeen] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[VersionKey, float]] = field(default_factory=list)
    refused_rows: list[tuple[int, str]] = field(default_factory=list)

    def batch_seen(self, seen: BatchSeen) -> None:
        self.seen.append(seen)

    def refused(self, model: str, reason: str, context: object = None) -> None:
        del context
        self.refusals.append((model, reason))

    def failed(self, key: VersionKey, total_s: float, rows: int, reason: str) -> None:
        self.failures.append((key, total_s))
        self.refused_rows.append((rows, reason))


class Bench:
    """A predictor with one model, `echo`, whose clock is the loop's own."""

    def __init__(self, backend: EchoBackend, served: Served) -> None:
        loop = asyncio.get_running_loop()
        self.backend = backend
        self.counts = Counts()
        self.predictor = Predictor({"pool": backend}, loop, self.counts, loop.time)
        route = Route(KEY.model, "salt", (Split("stable", 1, 10_000),), (served,))
        self.predictor.variants.adopt(RouteTable(1, {KEY.model: route}))

    def ask(
        self, *values: float, caller: Caller | None = None, timeout_s: float | None = None, priority: int = 0
    ) -> Caller:
        caller = caller or Caller()
        tensor = Tensor("x", "FP32", (len(values), 2), b"".join(row_of(value) for value in values))
        request = Request(KEY.model, [tensor], caller, asyncio.get_running_loop().time())
        request.timeout_s, request.priority = timeout_s, priority
        self.predictor.accept(request)
        self.last = request
        return caller

    async def settle(self) -> None:
        """Until nothing waits and nothing runs."""
        for _ in range(2_000):
            await asyncio.sleep(0)
            if all(variant.batcher.idle for variant in self.predictor.variants.all()):
                return
        raise AssertionError("the batcher never came to rest")


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    def make(backend: EchoBackend | None = None, **limits: int) -> Bench:
        return Bench(backend or EchoBackend(), Served(1, "pool", **limits))

    return make
