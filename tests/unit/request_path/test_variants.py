"""Which variant a request gets, and who answers for one that nothing hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from serving.errors import NotReady
from serving.inference import Hosted, Request, Tensor, VersionKey
from serving.routing.split import choose_split
from serving.routing.table import Route, RouteTable, Served, Split, Trial
from serving.testing.backend import KEY, SIGNATURE, EchoBackend, row_of
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


async def test_variants_that_all_live_divide_keys_as_the_split_says_and_their_trial_knows_of_each() -> None:
    bench = bench_of(KEY, CANARY)
    splits = (Split("stable", 1, 2_500), Split("canary", 2, 7_500))
    trial = Trial("rollout", 3, 0, 7_500, sticky=False, began_s=0.0, count_from_s=0.0)
    route = Route(KEY.model, "salt", splits, (Served(1, "pool"), Served(2, "pool")), trial)
    variants = bench.predictor.variants
    variants.adopt(RouteTable(3, {KEY.model: route}))
    keys = [b"%d" % number for number in range(200)]
    wanted = [choose_split(route, key).variant for key in keys]
    assert [chosen(bench, key=key) for key in keys] == wanted
    # Those who choose for themselves are none of the trial's.
    assert chosen(bench, key=keys[0], pinned="stable") == chosen(bench, version=1) == "stable"
    assert variants.likely(KEY.model) is variants.find(KEY.model, None) is variants.find(KEY.model, 2)
    told = {tally.canary: tally.events["split"] for tally in variants.trials.take()}
    assert told == {True: wanted.count("canary"), False: wanted.count("stable")}


async def test_without_a_key_requests_are_divided_by_the_weights() -> None:
    bench = bench_of(KEY, CANARY)
    names = [chosen(bench) for _ in range(2_000)]
    # Five standard deviations.
    assert abs(names.count("canary") - 1_000) < 112


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


async def test_a_pool_that_is_lost_or_new_does_not_take_the_models_of_others_out_of_service() -> None:
    bench = bench_of(KEY)
    here, away = (
        Route(model, "salt", (Split("stable", 1, 10_000),), (Served(1, pool),))
        for model, pool in ((KEY.model, "pool"), ("other", "away"))
    )
    both = RouteTable(3, {KEY.model: here, "other": away})
    for table, ready in (
        (both, False),
        (RouteTable(4, {KEY.model: here}), True),
        (both, True),
        (RouteTable(5, {"other": away}), False),
        (both, True),
    ):
        bench.predictor.variants.adopt(table)
        assert bench.predictor.ready() is ready


async def test_pools_of_models_that_only_others_have_are_not_waited_for() -> None:
    bench = bench_of(KEY)
    here, away = (
        Route(model, "salt", (Split("stable", 1, 10_000),), (Served(1, pool),))
        for model, pool in ((KEY.model, "pool"), ("other", "away"))
    )
    variants = bench.predictor.variants
    variants.adopt(RouteTable(3, {KEY.model: here, "other": away}))
    assert not bench.predictor.ready()
    variants.expect([KEY.model])
    assert bench.predictor.ready()


async def test_nobody_answers_for_stable() -> None:
    bench = bench_of(CANARY)
    found = set()
    for number in range(200):
        try:
            found.add(chosen(bench, key=b"%d" % number))
        except NotReady:
            found.add("refused")
    assert found == {"canary", "refused"}


class Counting(EchoBackend):
    """Counts how often it is asked what it hosts, and for slots."""

    def __init__(self, count: int) -> None:
        super().__init__([])
        self.facts = [Hosted(VersionKey(f"m{number}", 1), SIGNATURE, batchable=True) for number in range(count)]
        self.asked = 0

    def hosted(self) -> Mapping[VersionKey, Hosted]:
        self.asked += 1
        return super().hosted()

    def slots(self, key: VersionKey) -> int:
        self.asked += 1
        return super().slots(key)


@pytest.mark.parametrize("count", [10, 200])
async def test_a_version_that_becomes_ready_has_no_other_looked_at(count: int) -> None:
    backend = Counting(count)
    bench = Bench(backend, Served(1, "pool"))
    only = (Split("stable", 1, 10_000),)
    routes = {hosted.key.model: Route(hosted.key.model, "salt", only, (Served(1, "pool"),)) for hosted in backend.facts}
    bench.predictor.variants.adopt(RouteTable(2, routes))
    backend.asked = 0
    for number, hosted in enumerate(backend.facts):
        backend.host(hosted.key, hosted)
        assert len(bench.predictor.variants.all()) == number + 1
        assert bench.predictor.variants.likely(hosted.key.model) is not None
    assert backend.asked == 2 * count


async def test_a_version_that_is_told_of_alone_is_all_that_changes() -> None:
    backend = EchoBackend([Hosted(KEY, SIGNATURE, batchable=True), Hosted(CANARY, SIGNATURE, batchable=True)])
    bench = Bench(backend, Served(1, "pool"))
    route = Route(KEY.model, "salt", SPLITS, (Served(1, "pool"), Served(2, "pool")))
    bench.predictor.variants.adopt(RouteTable(2, {KEY.model: route}))
    variants = bench.predictor.variants
    stable = variants.find(KEY.model, 1)
    backend.host(CANARY, None)
    assert {chosen(bench, key=b"%d" % number) for number in range(50)} == {"stable"}
    backend.host(CANARY, Hosted(CANARY, SIGNATURE, batchable=False))
    assert {chosen(bench, key=b"%d" % number) for number in range(50)} == {"stable", "canary"}
    assert variants.find(KEY.model, 2).hosted.batchable is False
    assert variants.find(KEY.model, 1) is stable
    backend.host(VersionKey("unknown to the table", 1), Hosted(KEY, SIGNATURE, batchable=True))
    assert len(variants.all()) == 2


async def test_one_that_is_let_go_alone_tells_those_who_wait_for_it() -> None:
    backend = EchoBackend()
    bench = Bench(backend, Served(1, "pool"))
    backend.gate.clear()
    running, waiting = bench.ask(1.0), Caller()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bench.ask(2.0, caller=waiting)
    backend.host(KEY, None)
    assert isinstance(waiting.error, NotReady)
    assert bench.predictor.variants.busy(KEY)
    backend.gate.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not bench.predictor.variants.busy(KEY)
    assert running.data


async def test_one_that_is_routed_elsewhere_leaves_until_what_it_had_is_answered_and_the_next_one_does_not() -> None:
    backend = EchoBackend()
    bench = Bench(backend, Served(1, "pool"))
    variants = bench.predictor.variants
    backend.gate.clear()
    running = bench.ask(1.0)
    await asyncio.sleep(0)
    assert not variants.leaving(KEY)
    whole = (Split("stable", 1, 10_000),)
    elsewhere = Route(KEY.model, "salt", whole, (Served(1, "pool", deadline_ms=2_000),))
    variants.adopt(RouteTable(2, {KEY.model: elsewhere}))
    assert variants.leaving(KEY)
    backend.gate.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert running.data
    backend.gate.clear()
    bench.ask(2.0)
    await asyncio.sleep(0)
    assert variants.busy(KEY)
    assert not variants.leaving(KEY)
    backend.gate.set()


def canary_only(bench: Bench) -> None:
    """Every request is the canary's, and stable is hosted as well."""
    splits = (Split("stable", 1, 0), Split("canary", 2, 10_000))
    route = Route(KEY.model, "salt", splits, (Served(1, "pool"), Served(2, "pool")))
    bench.predictor.variants.adopt(RouteTable(3, {KEY.model: route}))


async def test_stable_answers_those_who_wait_for_a_canary_whose_last_replica_goes_away() -> None:
    bench = bench_of(KEY, CANARY)
    canary_only(bench)
    bench.backend.gate.clear()
    running = bench.ask(1.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = bench.ask(2.0)
    bench.backend.host(CANARY, None)
    bench.backend.gate.set()
    await bench.settle()
    for _ in range(10):
        await asyncio.sleep(0)
    assert (running.data, waiting.data) == (row_of(1.0), row_of(2.0))
    assert sorted(seen.variant for seen in bench.counts.seen) == ["canary", "stable"]
    assert bench.counts.refusals == []


async def test_stable_answers_a_batch_that_finds_no_replica_of_the_canary() -> None:
    bench = bench_of(KEY, CANARY)
    canary_only(bench)
    bench.backend.away.add(CANARY)
    answered = [bench.ask(float(number)) for number in range(3)]
    await bench.settle()
    assert [caller.data for caller in answered] == [row_of(float(number)) for number in range(3)]
    assert {seen.variant for seen in bench.counts.seen} == {"stable"}


async def test_who_asked_for_the_canary_by_name_is_told_that_its_replica_went_away() -> None:
    bench = bench_of(KEY, CANARY)
    bench.backend.away.add(CANARY)
    caller = Caller()
    request = Request(KEY.model, [Tensor("x", "FP32", (1, 2), row_of(1.0))], caller, asyncio.get_running_loop().time())
    request.pinned = "canary"
    bench.predictor.accept(request)
    await bench.settle()
    assert isinstance(caller.error, NotReady)
