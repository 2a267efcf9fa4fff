"""Rescue: what the path of a request does not show, see test_predict.py for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from serving.deadline import LoopTimers
from serving.errors import DeadlineExceeded, ReplicaLost, ServingError
from serving.inference import Batch, Outputs, Request, Tensor
from serving.observation import BatchSeen, Flown
from serving.request_path.predict import Predictor
from serving.routing.table import Route, RouteTable, Served, Split
from serving.testing.backend import KEY, EchoBackend, row_of
from tests.unit.request_path.conftest import Bench, Caller, Counts

MakeBench = Callable[..., Bench]


async def test_a_suspect_that_had_not_begun_when_its_replica_was_lost_is_not_blamed_and_runs_again(
    make_bench: MakeBench,
) -> None:
    class Unlucky(EchoBackend):
        """The first run is present at a crash; the second waits behind another gateway's, which crashes too."""

        async def run(self, batch: Batch) -> Outputs:
            outputs = await super().run(batch)
            if len(self.batches) <= 2:
                raise ReplicaLost("the replica crashed", started=not batch.alone)
            return outputs

    bench = make_bench(Unlucky())
    unlucky = bench.ask(1)
    await bench.settle()
    assert unlucky.data == row_of(1)
    assert bench.backend.alone == [row_of(1), row_of(1)]


class OnItsClock(EchoBackend):
    """Each run takes a quarter of a second of a clock that stands still else."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    async def run(self, batch: Batch) -> Outputs:
        self.now += 0.25
        return await super().run(batch)


class Watched:
    """Keeps when each batch was taken and landed, and when its requests had been taken by one before that."""

    def __init__(self) -> None:
        self.flown: list[Flown] = []
        self.late: list[tuple[float, float]] = []

    def batch_answered(self, seen: BatchSeen, flown: Flown) -> None:
        del seen
        self.flown.append(flown)

    def refused(self, request: Request, why: ServingError, now: float) -> None:
        del why
        self.late.append((request.taken_at, now))


def predictor_of(backend: OnItsClock, counts: Counts, watch: Watched) -> Predictor:
    def clock() -> float:
        return backend.now

    predictor = Predictor({"pool": backend}, LoopTimers(clock), counts, clock)
    route = Route(KEY.model, "salt", (Split("stable", 1, 10_000),), (Served(1, "pool"),))
    predictor.variants.adopt(RouteTable(1, {KEY.model: route}))
    predictor.watch = watch
    return predictor


async def settled() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_what_fails_has_waited_until_the_run_that_it_failed_in_and_ran_since() -> None:
    backend, counts, watch = OnItsClock(), Counts(), Watched()
    backend.bad = {row_of(7)}
    predictor, caller = predictor_of(backend, counts, watch), Caller()
    for value in (7, 1, 7):
        tensor = Tensor("x", "FP32", (1, 2), row_of(value))
        predictor.accept(Request(KEY.model, [tensor], caller, backend.now))
    await settled()
    # After all three and the first two, each ran alone; the second to fail was told of it when the third had run.
    told = [(seen.outcome, list(seen.queue_s), seen.run_s) for seen in counts.seen]
    assert sorted(told) == [
        ("model_failed", [0.5], 0.25),
        ("model_failed", [0.75], 0.25),
        ("ok", [1.0], 0.25),
    ]
    assert [round(flown.landed_at - flown.taken_at, 6) for flown in watch.flown] == [0.25] * 3


async def test_a_request_that_is_late_while_it_runs_knows_since_when() -> None:
    backend, counts, watch = OnItsClock(), Counts(), Watched()
    predictor, caller = predictor_of(backend, counts, watch), Caller()
    backend.now = 1.0
    backend.gate.clear()
    request = Request(KEY.model, [Tensor("x", "FP32", (1, 2), row_of(1))], caller, 0.5)
    predictor.accept(request)
    await settled()
    predictor._refuse(request, DeadlineExceeded("late"))
    assert watch.late == [(1.0, 1.25)]
