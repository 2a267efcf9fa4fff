"""How a request gets its features, or an error."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Collection
from typing import Any, cast

import pytest

from serving.errors import Overloaded, ServingError, TooLarge, UnknownEntity
from serving.features.cached_rows import CachedRows
from serving.features.compilation import compile_plan
from serving.features.entity_rows import EntityRows
from serving.features.explanation import Wants
from serving.features.features import Features
from serving.features.packed import RowLayout
from serving.features.plan import ReadPlan
from serving.features.plan_in_use import PlanInUse
from serving.features.store.feature_reader import FeatureReader
from serving.features.store.reading import Found, Then
from serving.inference import Answer, Request, TensorSpec, VersionKey
from tests.unit.features.conftest import PLANE, flights, signature
from tests.unit.features.test_plan import FOUND, INSTANCE, NOW_MS


class FakeReader:
    """Keeps what is asked until the test answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[bytes], object, Then]] = []
        self.room = True
        self.most_keys = 4

    def has_room(self, keys: int) -> bool:
        return self.room

    def fetch(self, keys: Collection[bytes], who: object, then: Then) -> None:
        self.asked.append((list(keys), who, then))

    def answers(self, number: int, found: Found | None) -> None:
        keys, who, then = self.asked[number]
        then((who,), _of(keys, found))

    def answers_all(self, found: Found | None) -> None:
        """Those who gave the same `then` at once, as one read does."""
        lots: dict[Then, list[object]] = {}
        keys = [key for several, _, _ in self.asked for key in several]
        for _, who, then in self.asked:
            lots.setdefault(then, []).append(who)
        self.asked.clear()
        for then, lot in lots.items():
            then(lot, _of(keys, found))


def _of(keys: Collection[bytes], found: Found | None) -> Found | None:
    """As a store answers: None for each key that it does not have."""
    return None if found is None else {**dict.fromkeys(keys), **found}


class Observer:
    def __init__(self) -> None:
        self.values: dict[tuple[str, str, str], dict[str, int]] = {}
        self.variants: set[tuple[VersionKey, str]] = set()
        self.failures: list[str] = []

    def feature_values(self, key: VersionKey, variant: str, feature: tuple[str, str], counts: dict[str, int]) -> None:
        self.values[key.model, *feature] = counts
        self.variants.add((key, variant))

    def feature_read_failed(self, reason: str) -> None:
        self.failures.append(reason)


class Caller:
    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        raise AssertionError("the request path answers")


class Bench:
    """Features with a fake reader, and what became of each request."""

    def __init__(self, *, reader: bool = True) -> None:
        self.reader = FakeReader()
        self.in_use: dict[ReadPlan, PlanInUse] = {}
        self.observer = Observer()
        self.time = 5.0
        self.handed_on: list[Request] = []
        self.raises_for: Request | None = None
        self.refused: list[tuple[Request, ServingError]] = []
        self.features = Features(
            cast("FeatureReader", self.reader) if reader else None,
            lambda request, error: self.refused.append((request, error)),
            self.observer,
            lambda: self.time,
            lambda: NOW_MS / 1000,
        )

    def fill(self, plan: ReadPlan, *instances: object) -> Request:
        request = Request("late", (), Caller(), 0.0)
        request.entities = plan.read(instances)
        self.features.fill(request, self.used(plan), self._hand_on)
        return request

    def used(self, plan: ReadPlan) -> PlanInUse:
        return self.in_use.setdefault(plan, PlanInUse(plan, VersionKey("late", 1), "stable"))

    def _hand_on(self, request: Request) -> None:
        if request is self.raises_for:
            raise RuntimeError("a defect")
        self.handed_on.append(request)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_request_is_handed_on_with_its_tensors_once_its_rows_are_there(bench: Bench, plan: ReadPlan) -> None:
    request = bench.fill(plan, INSTANCE)
    assert bench.handed_on == []
    assert bench.reader.asked[0][0] == list(FOUND)
    bench.time = 5.25
    bench.reader.answers(0, FOUND)
    assert bench.handed_on == [request]
    assert [tensor.shape for tensor in request.inputs] == [(1, 6)]
    assert request.degraded == ""
    assert request.features_s == 0.25


def test_a_request_without_entities_goes_on_at_once(bench: Bench, plan: ReadPlan) -> None:
    request = Request("late", (), Caller(), 0.0)
    bench.features.fill(request, bench.used(plan), bench.handed_on.append)
    assert bench.handed_on == [request]


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("found", [None, FOUND])
def test_a_caller_who_left_is_skipped(bench: Bench, plan: ReadPlan, rows: int, found: dict[bytes, bytes]) -> None:
    bench.fill(plan, *[INSTANCE] * rows).leave()
    stays = bench.fill(plan, *[INSTANCE] * rows)
    bench.reader.answers_all(found)
    assert bench.handed_on == [stays]
    assert not bench.refused
    bench.features.flush()
    assert sum(bench.observer.values["late", "plane", "year"].values()) == rows


def test_without_a_store_defaults_are_used_and_told(plan: ReadPlan) -> None:
    bench = Bench(reader=False)
    assert bench.fill(plan, INSTANCE).degraded == "plane=unavailable, route=unavailable"


def test_a_model_that_takes_no_defaults_is_refused(bench: Bench) -> None:
    request = bench.fill(flights("fail"), INSTANCE)
    bench.reader.answers(0, {})
    assert [(one, type(error)) for one, error in bench.refused] == [(request, UnknownEntity)]
    assert bench.handed_on == []


def test_a_full_reader_refuses_at_once(bench: Bench, plan: ReadPlan) -> None:
    bench.reader.room = False
    bench.fill(plan, INSTANCE)
    assert isinstance(bench.refused[0][1], Overloaded)
    assert bench.observer.failures == ["full"]
    assert bench.reader.asked == []


def test_a_request_that_never_has_room_is_too_large(bench: Bench, plan: ReadPlan) -> None:
    bench.reader.room = False
    bench.fill(plan, INSTANCE, INSTANCE, INSTANCE)
    assert isinstance(bench.refused[0][1], TooLarge)
    assert bench.refused[0][1].message == ("the request reads 6 feature rows; the limit is 4: send fewer instances")


def test_another_versions_plan_reads_the_instances_again(bench: Bench, plan: ReadPlan) -> None:
    inputs, _ = plan.recipe
    doubles = compile_plan(inputs, signature(TensorSpec("x", "FP64", (-1, 6))))
    request = Request("late", (), Caller(), 0.0)
    request.entities = plan.read([INSTANCE])
    bench.features.fill(request, bench.used(doubles), bench.handed_on.append)
    bench.reader.answers(0, FOUND)
    assert struct.unpack("<6d", request.inputs[0].data) == (1999, 149, 20, 7.5, 5, 9.5)


@pytest.mark.parametrize("outcome", ["rows", "refused", "left"])
def test_what_is_read_again_elsewhere_is_waited_for(bench: Bench, plan: ReadPlan, outcome: str) -> None:
    doubles = compile_plan(plan.recipe[0], signature(TensorSpec("x", "FP64", (-1, 6))))
    asked: list[tuple[ReadPlan, Callable[[EntityRows | ServingError], None]]] = []
    request = Request("late", (), Caller(), 0.0)
    rows = request.entities = plan.read([INSTANCE])
    rows.again = lambda plan, told: asked.append((plan, told))
    bench.features.fill(request, bench.used(doubles), bench.handed_on.append)
    ((by, told),) = asked
    assert by is doubles
    assert bench.reader.asked == []
    if outcome == "left":
        request.leave()
    told(Overloaded("many wait") if outcome == "refused" else doubles.read([INSTANCE]))
    assert [(one, type(why)) for one, why in bench.refused] == [(request, Overloaded)] * (outcome == "refused")
    assert len(bench.reader.asked) == (outcome == "rows")
    if outcome == "rows":
        bench.reader.answers(0, FOUND)
        assert bench.handed_on == [request]
        assert struct.unpack("<6d", request.inputs[0].data) == (1999, 149, 20, 7.5, 5, 9.5)


def test_a_defect_fails_one_request_and_no_other(
    bench: Bench, plan: ReadPlan, caplog: pytest.LogCaptureFixture
) -> None:
    bench.fill(plan, INSTANCE)
    bench.reader.answers(0, cast("Any", dict.fromkeys(FOUND, 7)))
    assert bench.refused[0][1].reason == "model_failed"
    assert "could not be filled in" in caplog.text


async def test_a_large_request_is_filled_in_several_turns(bench: Bench, plan: ReadPlan) -> None:
    request = bench.fill(plan, *[{**INSTANCE, "hour": hour} for hour in range(2_500)])
    small = bench.fill(plan, INSTANCE)
    bench.reader.answers(0, FOUND)
    bench.reader.answers(1, FOUND)
    assert bench.handed_on == [small], "it does not wait behind the large one"
    for _ in range(4):
        await asyncio.sleep(0)
    assert bench.handed_on == [small, request]
    assert request.inputs[0].shape == (2_500, 6)
    rows = list(struct.iter_unpack("<6f", request.inputs[0].data))
    assert rows == [(1999, 149, 20, 7.5, hour, 9.5) for hour in range(2_500)]


async def test_a_large_request_fails_as_a_small_one_does_and_stops_when_its_caller_left(bench: Bench) -> None:
    strict = flights("fail")
    unknown = bench.fill(strict, *[INSTANCE] * 1_999, {**INSTANCE, "dest": "ZZZ"})
    left = bench.fill(strict, *[INSTANCE] * 2_000)
    bench.reader.answers(0, FOUND)
    bench.reader.answers(1, FOUND)
    left.leave()
    for _ in range(4):
        await asyncio.sleep(0)
    assert [(request, type(error)) for request, error in bench.refused] == [(unknown, UnknownEntity)]
    assert "instances[1999]" in bench.refused[0][1].message
    assert bench.handed_on == []


def test_values_are_counted_by_their_status(bench: Bench, plan: ReadPlan) -> None:
    for found in (FOUND, FOUND, {}, {next(iter(FOUND)): FOUND[next(iter(FOUND))]}):
        bench.fill(plan, INSTANCE, INSTANCE)
        bench.reader.answers_all(found)
    assert bench.observer.values == {}
    bench.features.flush()
    assert bench.observer.values == {
        ("late", "plane", "year"): {"present": 6, "not_found": 2},
        ("late", "plane", "seats"): {"present": 6, "not_found": 2},
        ("late", "route", "delay"): {"present": 4, "not_found": 4},
        ("late", "route", "flights"): {"present": 4, "not_found": 4},
    }
    bench.observer.values.clear()
    bench.features.flush()
    assert bench.observer.values == {}


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_request_asks_to_be_told_is_there_when_it_goes_on(bench: Bench, plan: ReadPlan, count: int) -> None:
    beside = [bench.fill(plan, {**INSTANCE, "hour": hour}) for hour in range(8)]
    request = Request("late", (), Caller(), 0.0)
    request.entities = rows = plan.read([INSTANCE] * count)
    rows.wants = Wants(status=True, values=True)
    bench.features.fill(request, bench.used(plan), bench.handed_on.append)
    bench.reader.answers_all(FOUND)
    assert bench.handed_on == [*beside, request]
    assert rows.told is not None
    assert [len(cast("Any", rows.told[name])) for name in ("feature_status", "features")] == [count, count]
    others = [one.entities for one in beside]
    assert all(isinstance(one, EntityRows) and one.told is None for one in others)


def test_what_is_asked_is_told_by_another_versions_plan_too(bench: Bench, plan: ReadPlan) -> None:
    doubles = compile_plan(plan.recipe[0], signature(TensorSpec("x", "FP64", (-1, 6))))
    request = Request("late", (), Caller(), 0.0)
    rows = plan.read([INSTANCE])
    rows.wants = Wants(status=False, values=True)
    request.entities = rows
    bench.features.fill(request, bench.used(doubles), bench.handed_on.append)
    bench.reader.answers(0, FOUND)
    assert isinstance(request.entities, EntityRows)
    assert request.entities.told is not None


def test_variants_that_share_a_plan_are_counted_apart(bench: Bench, plan: ReadPlan) -> None:
    bench.fill(plan, INSTANCE)
    canary = PlanInUse(plan, VersionKey("late", 2), "canary")
    request = Request("late", (), Caller(), 0.0)
    request.entities = plan.read([INSTANCE, INSTANCE])
    bench.features.fill(request, canary, bench.handed_on.append)
    bench.reader.answers(0, FOUND)
    bench.reader.answers(1, {})
    assert canary.rows == 2
    bench.features.flush()
    assert bench.observer.variants == {(VersionKey("late", 1), "stable"), (VersionKey("late", 2), "canary")}
    # The canary was told last.
    assert bench.observer.values["late", "plane", "year"] == {"present": 0, "not_found": 2}


@pytest.mark.parametrize("missing", [False, True])
def test_requests_of_one_read_are_finished_together_or_one_by_one_with_the_same_outcome(
    bench: Bench, plan: ReadPlan, missing: bool
) -> None:
    requests = [bench.fill(plan, {**INSTANCE, "hour": hour}) for hour in range(20)]
    unknown = [bench.fill(plan, {**INSTANCE, "tailnum": "?"})] if missing else []
    requests[3].leave()
    bench.reader.answers_all(FOUND)
    assert bench.handed_on == [one for one in requests if one is not requests[3]] + unknown
    assert [struct.unpack("<6f", one.inputs[0].data)[4] for one in bench.handed_on[:19]] == [
        hour for hour in range(20) if hour != 3
    ]
    assert [one.degraded for one in bench.handed_on] == [""] * 19 + ["plane=not_found"] * len(unknown)
    bench.features.flush()
    assert bench.observer.values["late", "plane", "year"] == {"present": 19} | ({"not_found": 1} if missing else {})


def test_one_that_cannot_be_handed_on_does_not_strand_the_others(
    bench: Bench, plan: ReadPlan, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [bench.fill(plan, INSTANCE) for _ in range(20)]
    bench.raises_for = requests[7]
    bench.reader.answers_all(FOUND)
    assert bench.handed_on == [one for one in requests if one is not requests[7]]
    assert [(one, error.reason) for one, error in bench.refused] == [(requests[7], "model_failed")]
    assert "could not be filled in" in caplog.text


def test_rows_of_before_are_used_and_told_of(bench: Bench, plan: ReadPlan) -> None:
    found = CachedRows()
    found.update(FOUND)
    plane, route = FOUND
    found.outdated.add(plane)
    requests = [bench.fill(plan, INSTANCE) for _ in range(20)]
    _, _, then = bench.reader.asked[0]
    then([who for _, who, _ in bench.reader.asked], found)
    assert {request.degraded for request in requests} == {"plane=stale_used"}
    assert struct.unpack("<6f", requests[0].inputs[0].data)[0] == 1999
    del found[route]
    then([bench.reader.asked[0][1]], found)
    assert bench.handed_on[-1].degraded == "plane=stale_used, route=unavailable"


def test_what_a_row_of_before_lacks_is_told_and_the_rest_of_it_is_told_to_be_of_before(
    bench: Bench, plan: ReadPlan
) -> None:
    plane, _ = FOUND
    found = CachedRows()
    found.update({**FOUND, plane: RowLayout(PLANE).pack([1999.0, None], NOW_MS / 1000)})
    found.outdated.add(plane)
    request = bench.fill(plan, INSTANCE)
    _, who, then = bench.reader.asked[0]
    then([who], found)
    assert request.degraded == "plane.seats=null, plane=stale_used"
    bench.features.flush()
    assert bench.observer.values["late", "plane", "year"] == {"present": 0, "stale_used": 1}
    assert bench.observer.values["late", "plane", "seats"] == {"present": 0, "null": 1}
