"""Which variant a request gets, and who answers for one that nothing hosts."""

from __future__ import annotations

import asyncio

import pytest

from serving.errors import NotReady
from serving.inference import Hosted, Request, VersionKey
from serving.routing.table import Route, RouteTable, Served, Split
from serving.testing.backend import KEY, SIGNATURE, EchoBackend
from tests.unit.request_path.conftest import Bench, Caller

CANARY = VersionKey(KEY.model, 2)
SPLITS = (Split("stable", 1, 5_000), Split("canary", 2, 5_000))


def bench_of(*keys: VersionKey) -> Bench:
    backend = EchoBackend([Hosted(key, SIGNATURE, batchable=True) for key in keys])
    bench = Bench(backend, Served(1, "pool"))
    route = Route(KEY.model, "salt", SPLITS, (Served(1, "pool"), Served(2, "pool")))
    bench.predictor.variants.adopt(RouteTable(2, {KEY.model: route}))
    return bench


def chosen(bench: Bench, *, key: bytes | None = None, version: int | None = None, pinned: str | None = None) -> str:
    request = Request(KEY.model, [], Caller(), asyncio.get_running_loop().time(), version=version)
    request.key, request.pinned = key, pinned
    return bench.predictor.variants.choose(request).name


async def test_stable_answers_for_a_canary_that_nothing_hosts() -> None:
    bench = bench_of(KEY)
    assert {chosen(bench, key=b"%d" % number) for number in range(200)} == {"stable"}


async def test_who_asks_for_the_canary_itself_is_told_that_nothing_hosts_it() -> None:
    bench = bench_of(KEY)
    with pytest.raises(NotReady):
        chosen(bench, pinned="canary")
    with pytest.raises(NotReady):
        chosen(bench, version=2)


async def test_who_asks_ahead_is_not_refused_for_a_large_canary_that_nothing_hosts() -> None:
    bench = bench_of(KEY)
    splits = (Split("stable", 1, 1_000), Split("canary", 2, 9_000))
    route = Route(KEY.model, "salt", splits, (Served(1, "pool"), Served(2, "pool")))
    bench.predictor.variants.adopt(RouteTable(3, {KEY.model: route}))
    assert bench.predictor.refusal(KEY.model, None) is None


async def test_a_trial_pool_that_is_away_does_not_take_the_gateway_out_of_service() -> None:
    bench = bench_of(KEY)
    for away, ready in ((2, True), (1, False)):
        served = tuple(Served(version, "away" if version == away else "pool") for version in (1, 2))
        bench.predictor.variants.adopt(RouteTable(3, {KEY.model: Route(KEY.model, "salt", SPLITS, served)}))
        assert bench.predictor.ready() is ready


async def test_nobody_answers_for_stable() -> None:
    bench = bench_of(CANARY)
    found = set()
    for number in range(200):
        try:
            found.add(chosen(bench, key=b"%d" % number))
        except NotReady:
            found.add("refused")
    assert found == {"canary", "refused"}
