"""Requests by entity on their way: looked up first, then queued like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import cast

import pytest

from serving.errors import BadRequest, DeadlineExceeded, ModelUnservable, ServingError, TooLarge, UnknownModel
from serving.features.feature_view import FeatureView, feature
from serving.features.model_inputs import ModelInputs
from serving.features.packed import RowLayout
from serving.features.plan import ReadPlan
from serving.features.read_budget import BudgetOptions
from serving.features.store.feature_reader import FeatureReader
from serving.features.store.reading import Then
from serving.inference import Hosted, Request, Signature, TensorSpec, VersionKey
from serving.request_path.look_ups import LookUps
from serving.request_path.predict import Predictor
from serving.request_path.read_plans import ReadPlans
from serving.routing.table import Route, RouteTable, Served, Shadow, Split, Trial
from serving.testing.backend import KEY, SIGNATURE, EchoBackend
from tests.unit.request_path.conftest import Caller, Counts

PLANE = FeatureView("plane", ("tailnum",), (feature("year", default=7.0),))
INPUTS = ModelInputs("echo", (("x", ("plane.year", "request.hour")),), (PLANE,))


class HeldReader:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[list[bytes], object, Then]] = []

    def has_room(self, keys: int) -> bool:
        return True

    def fetch(self, keys: Collection[bytes], who: object, then: Then) -> None:
        self.waiting.append((list(keys), who, then))

    def answer(self, rows: Mapping[bytes, bytes | None] | None) -> None:
        waiting, self.waiting = self.waiting, []
        for keys, who, then in waiting:
            then((who,), None if rows is None else {key: rows.get(key) for key in keys})


class FeatureCounts(Counts):
    def feature_values(self, key: VersionKey, variant: str, feature: tuple[str, str], counts: dict[str, int]) -> None:
        """Not looked at here."""

    def feature_read_failed(self, reason: str) -> None:
        """Not looked at here."""


class Bench:
    def __init__(self, inputs: ModelInputs = INPUTS, budget: BudgetOptions | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.backend = EchoBackend()
        self.reader = HeldReader()
        self.counts = FeatureCounts()
        looked_up = LookUps(ReadPlans({"echo": inputs}), cast("FeatureReader", self.reader), self.counts, budget)
        self.predictor = Predictor({"pool": self.backend}, loop, self.counts, loop.time, looked_up)
        route = Route("echo", "salt", (Split("stable", 1, 10_000),), (Served(1, "pool"),))
        self.predictor.variants.adopt(RouteTable(1, {"echo": route}))

    def ask(self, timeout_s: float | None = None) -> tuple[Request, Caller]:
        caller = Caller()
        form = self.predictor.instance_form("echo", None)
        assert isinstance(form, ReadPlan)
        request = Request("echo", (), caller, asyncio.get_running_loop().time())
        request.entities = form.read([{"tailnum": "N1", "hour": 3}])
        request.timeout_s = timeout_s
        self.predictor.accept(request)
        return request, caller

    async def answered(self, caller: Caller) -> ServingError | bytes:
        for _ in range(2_000):
            await asyncio.sleep(0 if caller.outcomes else 0.001)
            if caller.outcomes:
                break
        outcome = caller.outcomes[0]
        return outcome if isinstance(outcome, ServingError) else caller.data


async def test_a_request_runs_with_the_row_that_was_found() -> None:
    bench = Bench()
    request, caller = bench.ask()
    assert not bench.backend.batches
    bench.reader.answer({b"sluice:f:plane:2:N1": RowLayout(PLANE).pack([1999.0], 0)})
    assert await bench.answered(caller) == b"\x00\xe0\xf9\x44\x00\x00\x40\x40"
    assert request.degraded == ""
    assert len(bench.counts.seen[0].features_s) == 1


async def test_a_copy_for_a_shadow_has_the_row_of_its_twin_and_reads_nothing() -> None:
    bench = Bench()
    second = VersionKey("echo", 2)
    bench.backend.host(second, Hosted(second, SIGNATURE, batchable=True))
    trial = Trial("r-shadow", 2, 0, 0, sticky=False, began_s=0.0, count_from_s=0.0, shadow=Shadow(2, 10_000))
    splits = (Split("stable", 1, 10_000), Split("canary", 2, 0))
    route = Route("echo", "salt", splits, (Served(1, "pool"), Served(2, "pool")), trial)
    bench.predictor.variants.adopt(RouteTable(2, {"echo": route}))
    _, caller = bench.ask()
    bench.reader.answer({b"sluice:f:plane:2:N1": RowLayout(PLANE).pack([1999.0], 0)})
    answered = await bench.answered(caller)
    for _ in range(20):
        await asyncio.sleep(0)
    assert bench.backend.batches == [answered, answered]
    assert not bench.reader.waiting


async def test_a_store_that_is_away_costs_the_defaults_and_says_so() -> None:
    bench = Bench()
    request, caller = bench.ask()
    bench.reader.answer(None)
    assert await bench.answered(caller) == b"\x00\x00\xe0\x40\x00\x00\x40\x40"
    assert request.degraded == "plane=unavailable"


async def test_time_runs_while_rows_are_read_and_a_late_row_runs_nothing() -> None:
    bench = Bench()
    _, caller = bench.ask(timeout_s=0.01)
    assert isinstance(await bench.answered(caller), DeadlineExceeded)
    bench.reader.answer({})
    await asyncio.sleep(0.01)
    assert not bench.backend.batches
    assert len(caller.outcomes) == 1


async def test_a_request_in_a_hurry_is_answered_by_defaults_while_rows_are_still_read() -> None:
    bench = Bench(budget=BudgetOptions(share=0.1, longest_s=60.0))
    request, caller = bench.ask(timeout_s=0.5)
    assert await bench.answered(caller) == b"\x00\x00\xe0\x40\x00\x00\x40\x40"
    assert request.degraded == "plane=unavailable"
    bench.reader.answer({})
    assert len(caller.outcomes) == 1


async def test_a_caller_who_leaves_during_the_read_costs_no_run() -> None:
    bench = Bench()
    request, caller = bench.ask()
    request.leave()
    bench.reader.answer({})
    await asyncio.sleep(0.01)
    assert not bench.backend.batches
    assert not caller.outcomes


async def test_a_request_that_is_being_looked_up_holds_neither_queue_nor_slot() -> None:
    bench = Bench()
    bench.ask()
    (variant,) = bench.predictor.variants.all()
    assert variant.batcher.idle


async def test_a_request_that_no_queue_would_hold_is_refused_before_anything_is_read() -> None:
    bench = Bench()
    route = Route("echo", "salt", (Split("stable", 1, 10_000),), (Served(1, "pool", queue_rows=2),))
    bench.predictor.variants.adopt(RouteTable(2, {"echo": route}))
    form, caller = bench.predictor.instance_form("echo", None), Caller()
    assert isinstance(form, ReadPlan)
    request = Request("echo", (), caller, asyncio.get_running_loop().time())
    request.entities = form.read([{"tailnum": "N1", "hour": 3}] * 3)
    bench.predictor.accept(request)
    assert isinstance(caller.error, TooLarge)
    assert not bench.reader.waiting


async def test_a_version_that_is_replaced_during_the_read_hands_its_requests_on() -> None:
    bench = Bench()
    _, caller = bench.ask()
    (before,) = bench.predictor.variants.all()
    route = Route("echo", "salt", (Split("stable", 1, 10_000),), (Served(1, "pool", queue_rows=100),))
    bench.predictor.variants.adopt(RouteTable(2, {"echo": route}))
    (after,) = bench.predictor.variants.all()
    bench.reader.answer({})
    assert (before.batcher.idle, after.batcher.idle) == (True, True)
    bench.reader.answer({})
    assert await bench.answered(caller) == b"\x00\x00\xe0\x40\x00\x00\x40\x40"


async def test_a_version_that_leaves_during_the_read_answers_what_it_had_accepted() -> None:
    bench = Bench()
    _, caller = bench.ask()
    bench.predictor.variants.adopt(RouteTable(2, {}))
    assert not bench.predictor.variants.busy(KEY)
    bench.reader.answer({})
    assert bench.predictor.variants.busy(KEY)
    assert await bench.answered(caller) == b"\x00\x00\xe0\x40\x00\x00\x40\x40"
    assert not bench.predictor.variants.busy(KEY)


async def test_a_version_that_nothing_hosts_any_more_when_its_rows_come_is_unknown() -> None:
    bench = Bench()
    _, caller = bench.ask()
    bench.predictor.variants.adopt(RouteTable(2, {}))
    bench.backend.replicas = 0
    bench.backend.changed()
    bench.reader.answer({})
    assert isinstance(await bench.answered(caller), UnknownModel)


async def test_a_request_that_is_handed_on_has_the_time_that_the_next_version_allows() -> None:
    bench = Bench()
    splits = (Split("stable", 1, 10_000),)

    def allow(epoch: int, deadline_ms: int) -> None:
        route = Route("echo", "salt", splits, (Served(1, "pool", deadline_ms=deadline_ms),))
        bench.predictor.variants.adopt(RouteTable(epoch, {"echo": route}))

    allow(2, 300)
    _, caller = bench.ask()
    allow(3, 60_000)
    bench.reader.answer({})
    await asyncio.sleep(0.4)
    assert not caller.outcomes
    bench.reader.answer({})
    assert await bench.answered(caller) == b"\x00\x00\xe0\x40\x00\x00\x40\x40"


async def test_inputs_that_do_not_fit_the_graph_are_told_and_finished_rows_still_run() -> None:
    bench = Bench(ModelInputs("echo", (("x", ("plane.year",)),), (PLANE,)))
    with pytest.raises(ModelUnservable, match="takes rows of 2 values, and 1 columns"):
        bench.predictor.instance_form("echo", None)
    assert bench.predictor.describe("echo", None).plan is None


async def test_versions_of_equal_signature_share_a_plan() -> None:
    plans = ReadPlans({"echo": INPUTS})
    first, second = Hosted(KEY, SIGNATURE, batchable=True), Hosted(KEY._replace(version=2), SIGNATURE, batchable=True)
    assert plans.plan_of(first) is plans.plan_of(second)
    other = Signature((TensorSpec("x", "FP64", (-1, 2)),), ())
    assert plans.plan_of(Hosted(KEY, other, batchable=True)) is not plans.plan_of(first)
    assert plans.plan_of(Hosted(KEY._replace(model="plain"), SIGNATURE, batchable=True)) is None


async def test_entities_for_a_model_without_feature_inputs_are_refused() -> None:
    bench = Bench()
    form = bench.predictor.instance_form("echo", None)
    assert isinstance(form, ReadPlan)
    plain = Predictor({"pool": bench.backend}, asyncio.get_running_loop(), Counts(), asyncio.get_running_loop().time)
    route = Route("echo", "salt", (Split("stable", 1, 10_000),), (Served(1, "pool"),))
    plain.variants.adopt(RouteTable(1, {"echo": route}))
    caller = Caller()
    request = Request("echo", (), caller, asyncio.get_running_loop().time())
    request.entities = form.read([{"tailnum": "N1", "hour": 3}])
    plain.accept(request)
    assert isinstance(caller.error, ModelUnservable | BadRequest)
