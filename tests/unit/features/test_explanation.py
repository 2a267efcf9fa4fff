"""What is told of a request's values, where it asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from serving.errors import BadRequest
from serving.features.compilation import compile_plan
from serving.features.explanation import MOST_VALUES, Wants, wants_of
from serving.features.feature_view import FeatureView, feature
from serving.features.keys import row_key
from serving.features.model_inputs import ModelInputs
from serving.features.packed import RowLayout
from serving.features.plan import ReadPlan
from serving.inference import TensorSpec
from tests.unit.features.conftest import PLANE, signature
from tests.unit.features.test_plan import FOUND, INSTANCE, NOW_MS

PLANE_KEY = row_key(PLANE, ["N1"])


def told(plan: ReadPlan, found: Mapping[bytes, bytes | None] | None, wants: Wants, *instances: object) -> Any:
    rows = plan.read(instances)
    rows.wants = wants
    return plan.explanation.told(rows, found, NOW_MS, plan.tensors(rows, found, NOW_MS).tensors)


def of_plane(values: list[float | None], age_s: float) -> bytes:
    return RowLayout(PLANE).pack(values, NOW_MS / 1000 - age_s)


@pytest.mark.parametrize(
    ("found", "year", "seats"),
    [
        (
            {PLANE_KEY: of_plane([1999, 149], 1.5)},
            {"status": "PRESENT", "age_s": 1.5},
            {"status": "PRESENT", "age_s": 1.5},
        ),
        (
            {PLANE_KEY: of_plane([None, 149], 1.5)},
            {"status": "NULL", "age_s": 1.5, "filled_by": "default"},
            {"status": "PRESENT", "age_s": 1.5},
        ),
        ({PLANE_KEY: of_plane([1999, 149], 61)}, *[{"status": "STALE", "age_s": 61.0, "filled_by": "default"}] * 2),
        ({PLANE_KEY: None}, *[{"status": "NOT_FOUND", "age_s": None, "filled_by": "default"}] * 2),
        (
            {PLANE_KEY: b"\x01another form"},
            *[{"status": "DEFAULT", "age_s": None, "filled_by": "default", "why": "unreadable"}] * 2,
        ),
        ({}, *[{"status": "DEFAULT", "age_s": None, "filled_by": "default", "why": "unavailable"}] * 2),
        (None, *[{"status": "DEFAULT", "age_s": None, "filled_by": "default", "why": "unavailable"}] * 2),
    ],
)
def test_each_feature_has_its_status_age_and_what_stood_in(
    plan: ReadPlan, found: Mapping[bytes, bytes | None] | None, year: object, seats: object
) -> None:
    (statuses,) = told(plan, found, Wants(status=True, values=False), INSTANCE)["feature_status"]
    assert (statuses["plane.year"], statuses["plane.seats"]) == (year, seats)
    assert list(statuses) == ["plane.year", "plane.seats", "route.delay", "route.flights"]


def test_instances_are_told_of_in_their_order(plan: ReadPlan) -> None:
    statuses = told(
        plan,
        FOUND | {row_key(PLANE, ["?"]): None},
        Wants(status=True, values=False),
        INSTANCE,
        {**INSTANCE, "tailnum": "?"},
    )
    assert [one["plane.year"]["status"] for one in statuses["feature_status"]] == ["PRESENT", "NOT_FOUND"]
    assert "features" not in statuses


def test_what_was_imputed_is_told_apart_from_defaults() -> None:
    view = FeatureView("v", ("id",), (feature("a", impute=1), feature("b")))
    inputs = ModelInputs("m", (("x", ("v.a", "v.b")),), (view,), {}, "impute")
    plan = compile_plan(inputs, signature(TensorSpec("x", "FP32", (-1, 2))))
    (statuses,) = told(plan, {row_key(view, ["N1"]): None}, Wants(status=True, values=False), {"id": "N1"})[
        "feature_status"
    ]
    assert [statuses[name]["filled_by"] for name in ("v.a", "v.b")] == ["impute", "default"]


def test_values_are_those_that_the_model_gets_by_input_and_column(plan: ReadPlan) -> None:
    values = told(plan, {**FOUND, PLANE_KEY: of_plane([None, 149], 0)}, Wants(status=False, values=True), INSTANCE)
    row = {"plane.year": 2001.5, "plane.seats": 149, "route.flights": 20, "route.delay": 7.5}
    assert values == {"features": [{"x": {**row, "request.hour": 5, "request.gust": 9.5}}]}


def test_so_many_values_that_they_would_hold_the_loop_are_refused(plan: ReadPlan) -> None:
    plan.explanation.check(MOST_VALUES // 6)
    with pytest.raises(BadRequest, match=f"at most {MOST_VALUES // 6} instances of this model at a time"):
        plan.explanation.check(MOST_VALUES // 6 + 1)


@pytest.mark.parametrize(
    ("parameters", "wants"),
    [
        (None, None),
        ({}, None),
        ("text", None),
        ({"other": 1}, None),
        ({"feature_status": False, "return_features": None}, None),
        ({"feature_status": True}, Wants(status=True, values=False)),
        ({"feature_status": False, "return_features": True}, Wants(status=False, values=True)),
    ],
)
def test_nothing_is_told_unless_it_is_asked_for(parameters: object, wants: Wants | None) -> None:
    assert wants_of(parameters) == wants


@pytest.mark.parametrize("value", [1, "true", [], {}])
def test_what_is_neither_true_nor_false_is_refused(value: object) -> None:
    with pytest.raises(BadRequest, match="parameter 'return_features' must be true or false, got"):
        wants_of({"return_features": value})
