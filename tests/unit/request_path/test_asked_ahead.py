"""What is said at the end of a head, while stable has more than it can do and its canary has replicas of its own."""

from __future__ import annotations

import asyncio

from serving.errors import BadRequest, NotReady, WouldBeLate
from serving.inference import Hosted, Request, Tensor, VersionKey
from serving.request_path.predict import Predictor
from serving.request_path.variants import Variant
from serving.routing.table import Route, RouteTable, Served, Split
from serving.testing.backend import KEY, SIGNATURE, EchoBackend, row_of
from tests.unit.request_path.conftest import Caller, Counts

CANARY = VersionKey(KEY.model, 2)


class Rollout:
    """Stable and a canary of a tenth, each with a replica of its own, on which a row takes most of the goal."""

    def __init__(self, canary_bp: int = 1_000) -> None:
        loop = asyncio.get_running_loop()
        self.pools = {
            "pool": EchoBackend([Hosted(KEY, SIGNATURE, batchable=True)]),
            "own": EchoBackend([Hosted(CANARY, SIGNATURE, batchable=True)]),
        }
        self.predictor = Predictor(self.pools, loop, Counts(), loop.time)
        splits = (Split("stable", 1, 10_000 - canary_bp), Split("canary", 2, canary_bp))
        served = tuple(
            Served(version, pool, max_rows=1, deadline_ms=10_000, latency_slo_us=20_000)
            for version, pool in ((1, "pool"), (2, "own"))
        )
        route = Route(KEY.model, "salt", splits, served)
        self.predictor.variants.adopt(RouteTable(1, {KEY.model: route}))
        for variant in self.predictor.variants.all():
            for _ in range(50):
                variant.batcher.pace.saw(1, 0.015)

    async def fill(self, name: str) -> None:
        """One runs, and no other would be in time."""
        variant = self.variant(name)
        self.pools[variant.served.pool].gate.clear()
        tensor = Tensor("x", "FP32", (1, 2), row_of(1.0))
        request = Request(KEY.model, [tensor], Caller(), asyncio.get_running_loop().time())
        request.pinned = name
        self.predictor.accept(request)
        await asyncio.sleep(0)

    def variant(self, name: str) -> Variant:
        return next(variant for variant in self.predictor.variants.all() if variant.name == name)

    def refuses(self, pinned: str | None = None, version: int | None = None) -> bool:
        refused = self.predictor.refusal(KEY.model, version, pinned=pinned)
        assert refused is None or isinstance(refused, WouldBeLate)
        return refused is not None

    async def end(self) -> None:
        for pool in self.pools.values():
            pool.gate.set()
        for _ in range(10):
            await asyncio.sleep(0)


async def test_only_those_whom_a_full_variant_would_answer_are_refused_before_their_body_is_read() -> None:
    rollout = Rollout()
    assert not rollout.refuses()
    await rollout.fill("stable")
    assert [rollout.refuses(name) for name in (None, "canary", "stable")] == [False, False, True]
    assert [rollout.refuses(version=version) for version in (1, 2)] == [True, False]
    await rollout.fill("canary")
    assert rollout.refuses()
    assert rollout.refuses("canary")
    await rollout.end()


async def test_a_canary_without_a_share_spares_nobody_the_refusal() -> None:
    rollout = Rollout(canary_bp=0)
    await rollout.fill("stable")
    assert rollout.refuses()
    assert not rollout.refuses("canary")
    await rollout.end()


async def test_where_nothing_hosts_the_canary_stable_is_asked_for_it_unless_it_was_chosen() -> None:
    rollout = Rollout()
    await rollout.fill("stable")
    rollout.pools["own"].host(CANARY, None)
    assert rollout.refuses()
    assert isinstance(rollout.predictor.refusal(KEY.model, None, pinned="canary"), NotReady)
    await rollout.end()


async def test_a_canary_is_asked_for_while_nothing_hosts_stable() -> None:
    rollout = Rollout()
    rollout.pools["pool"].host(KEY, None)
    assert not rollout.refuses()
    rollout.pools["own"].host(CANARY, None)
    assert isinstance(rollout.predictor.refusal(KEY.model, None), NotReady)


async def test_a_variant_that_there_is_not_is_said_to_be_none_before_the_body_is_read() -> None:
    refused = Rollout().predictor.refusal(KEY.model, None, pinned="other")
    assert isinstance(refused, BadRequest)
    assert "'stable', 'canary'" in refused.message
