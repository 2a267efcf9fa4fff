"""What a plan makes of instances and of what was found for them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest, FeaturesAway, UnknownEntity
from serving.features.compilation import compile_plan
from serving.features.feature_view import FeatureView, feature
from serving.features.keys import row_key
from serving.features.model_inputs import ModelInputs
from serving.features.packed import RowLayout
from serving.features.plan import ReadPlan
from serving.inference import Tensor, TensorSpec
from tests.unit.features.conftest import COLUMNS, PLANE, ROUTE, flights, signature

NOW_MS = 1_700_000_000_000
INSTANCE = {"tailnum": "N1", "origin": "EWR", "dest": "IAH", "hour": 5, "gust": 9.5}
PLANE_ROW = RowLayout(PLANE).pack([1999, 149], NOW_MS / 1000)
ROUTE_ROW = RowLayout(ROUTE).pack([7.5, 0.5, 20], 0)
FOUND = {row_key(PLANE, ["N1"]): PLANE_ROW, row_key(ROUTE, ["EWR", "IAH"]): ROUTE_ROW}
NAN_FREE = st.floats(width=32, allow_nan=False)


def floats(tensor: Tensor) -> list[float]:
    return list(struct.unpack(f"<{len(tensor.data) // 4}f", tensor.data))


def test_rows_stand_in_the_order_of_the_columns(plan: ReadPlan) -> None:
    rows = plan.read([INSTANCE, {**INSTANCE, "tailnum": "N2", "hour": 6}])
    found = {**FOUND, row_key(PLANE, ["N2"]): RowLayout(PLANE).pack([2013, 50], NOW_MS / 1000)}
    filled = plan.tensors(rows, found, NOW_MS)
    assert [(t.name, t.datatype, t.shape) for t in filled.tensors] == [("x", "FP32", (2, 6))]
    assert floats(filled.tensors[0]) == [1999, 149, 20, 7.5, 5, 9.5, 2013, 50, 20, 7.5, 6, 9.5]
    assert filled.degraded == ""
    assert rows.key == b"N1"


def test_what_callers_send_is_told_in_order(plan: ReadPlan) -> None:
    assert plan.entity_keys == ("tailnum", "origin", "dest")
    assert [(f.name, f.dtype, f.default, f.required) for f in plan.request_fields] == [
        ("hour", "FP32", None, True),
        ("gust", "FP32", 25.0, False),
    ]
    assert [(used.view.name, [f.name for f in used.features]) for used in plan.views] == [
        ("plane", ["year", "seats"]),
        ("route", ["delay", "flights"]),
    ]


def test_a_sticky_key_of_two_fields_keeps_them_apart() -> None:
    inputs = ModelInputs("m", (("x", ("route.rate",)),), (ROUTE,))
    read = compile_plan(inputs, signature(TensorSpec("x", "FP32", (-1, 1)))).read
    assert read([{"origin": "a", "dest": "bc"}]).key != read([{"origin": "ab", "dest": "c"}]).key


@pytest.mark.parametrize("instance", [{**INSTANCE, "gust": None}, {k: v for k, v in INSTANCE.items() if k != "gust"}])
def test_a_request_field_with_a_default_may_be_left_out_or_null(plan: ReadPlan, instance: dict[str, Any]) -> None:
    filled = plan.tensors(plan.read([instance]), FOUND, NOW_MS)
    assert floats(filled.tensors[0])[-1] == 25.0
    assert filled.degraded == "", "the caller knows what it sent"


@pytest.mark.parametrize(
    ("found", "row", "degraded"),
    [
        (None, [2001.5, "nan", "nan", "nan", 5, 9.5], "plane=unavailable, route=unavailable"),
        ({}, [2001.5, "nan", "nan", "nan", 5, 9.5], "plane=unavailable, route=unavailable"),
        (dict.fromkeys(FOUND), [2001.5, "nan", "nan", "nan", 5, 9.5], "plane=not_found, route=not_found"),
        (
            {row_key(ROUTE, ["EWR", "IAH"]): ROUTE_ROW},
            [2001.5, "nan", 20, 7.5, 5, 9.5],
            "plane=unavailable",
        ),
        ({**FOUND, row_key(PLANE, ["N1"]): b"\x01garbage"}, [2001.5, "nan", 20, 7.5, 5, 9.5], "plane=unreadable"),
        (
            {**FOUND, row_key(PLANE, ["N1"]): RowLayout(PLANE).pack([1999, 149], NOW_MS / 1000 - 61)},
            [2001.5, "nan", 20, 7.5, 5, 9.5],
            "plane=stale",
        ),
        (
            {**FOUND, row_key(PLANE, ["N1"]): RowLayout(PLANE).pack([None, 149], NOW_MS / 1000 - 59)},
            [2001.5, 149, 20, 7.5, 5, 9.5],
            "plane.year=null",
        ),
        (
            {**FOUND, row_key(ROUTE, ["EWR", "IAH"]): RowLayout(ROUTE).pack([1, None, 2], 0)},
            [1999, 149, 2, 1, 5, 9.5],
            "",
        ),
    ],
)
def test_defaults_stand_in_and_the_answer_says_so(
    plan: ReadPlan, found: Mapping[bytes, bytes | None] | None, row: list[Any], degraded: str
) -> None:
    filled = plan.tensors(plan.read([INSTANCE]), found, NOW_MS)
    assert [f"{value:g}" for value in floats(filled.tensors[0])] == [str(value) for value in row]
    assert filled.degraded == degraded


@given(
    st.dictionaries(st.sampled_from(sorted(FOUND)), st.binary(max_size=60) | st.sampled_from([PLANE_ROW, ROUTE_ROW]))
)
def test_any_bytes_in_redis_never_crash_nor_shift_a_value(found: Mapping[bytes, bytes]) -> None:
    plan = flights()
    row = floats(plan.tensors(plan.read([INSTANCE, INSTANCE]), found, NOW_MS).tensors[0])
    assert len(row) == 12
    assert row[4:6] == row[10:] == [5, 9.5]
    assert row[0] in {1999, 2001.5}
    assert row[3] == 7.5 or row[3] != row[3]


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=1, max_size=1), st.binary(min_size=8, max_size=8))
def test_any_values_in_a_row_of_ours_stay_in_their_places(time: bytes, presence: bytes, values: bytes) -> None:
    plan = flights()
    data = RowLayout(PLANE).head + time + presence + values
    row = floats(plan.tensors(plan.read([INSTANCE]), {**FOUND, row_key(PLANE, ["N1"]): data}, NOW_MS).tensors[0])
    assert row[2:] == [20, 7.5, 5, 9.5]


@pytest.mark.parametrize(
    "data",
    [
        RowLayout(replace(PLANE, features=PLANE.features[::-1])).pack([7, 8], NOW_MS / 1000),
        RowLayout(replace(PLANE, features=(feature("year", "int32"), feature("seats")))).pack([7, 8], NOW_MS / 1000),
        PLANE_ROW[:-1],
        PLANE_ROW + b"\0",
        b"\x02" + PLANE_ROW[1:],
    ],
)
def test_a_whole_row_of_another_form_is_never_used(plan: ReadPlan, data: bytes) -> None:
    filled = plan.tensors(plan.read([INSTANCE]), {**FOUND, row_key(PLANE, ["N1"]): data}, NOW_MS)
    assert floats(filled.tensors[0])[0] == 2001.5
    assert floats(filled.tensors[0])[2:] == [20, 7.5, 5, 9.5]
    assert filled.degraded == "plane=unreadable"


@pytest.mark.parametrize(
    "found", [None, {row_key(ROUTE, ["EWR", "IAH"]): ROUTE_ROW}, {**FOUND, row_key(PLANE, ["N1"]): b"old"}]
)
def test_a_model_that_takes_no_defaults_is_away_with_its_features(found: Mapping[bytes, bytes] | None) -> None:
    plan = flights("fail")
    refusal = plan.tensors(plan.read([INSTANCE]), found, NOW_MS).refusal
    assert isinstance(refusal, FeaturesAway)
    assert refusal.message.startswith("instances[0]: the row of tailnum 'N1' in feature view 'plane'")


@pytest.mark.parametrize(("on_missing", "year"), [("default", 2001.5), ("impute", 1998)])
def test_what_training_imputed_stands_in_where_the_model_says_so(on_missing: Any, year: float) -> None:
    view = FeatureView(
        "plane", ("tailnum",), (feature("year", default=2001.5, impute=1998), feature("seats", default=3))
    )
    inputs = ModelInputs("m", (("x", ("plane.year", "plane.seats")),), (view,), {}, on_missing)
    plan = compile_plan(inputs, signature(TensorSpec("x", "FP32", (-1, 2))))
    rows = plan.read([{"tailnum": "N1"}])
    for found in (None, {}, {row_key(view, ["N1"]): RowLayout(view).pack([None, None], 0)}):
        filled = plan.tensors(rows, found, NOW_MS)
        assert floats(filled.tensors[0]) == [year, 3], "what names no such value has its default"
        assert filled.degraded


def test_a_model_that_takes_no_defaults_names_the_unknown_entity() -> None:
    plan = flights("fail")
    rows = plan.read([INSTANCE, {**INSTANCE, "dest": "ZZZ"}])
    refusal = plan.tensors(rows, {**FOUND, row_key(ROUTE, ["EWR", "ZZZ"]): None}, NOW_MS).refusal
    assert isinstance(refusal, UnknownEntity)
    row = "instances[1]: the row of origin 'EWR', dest 'ZZZ' in feature view 'route'"
    assert refusal.message.startswith(f"{row} does not exist")


def test_a_single_value_that_is_missing_gets_its_default_also_where_rows_must_exist() -> None:
    plan = flights("fail")
    found = {**FOUND, row_key(PLANE, ["N1"]): RowLayout(PLANE).pack([None, 149], NOW_MS / 1000)}
    filled = plan.tensors(plan.read([INSTANCE]), found, NOW_MS)
    assert (filled.degraded, filled.refusal) == ("plane.year=null", None)


@pytest.mark.parametrize(
    ("instance", "why"),
    [
        ({**INSTANCE, "colour": 1}, "unknown field 'colour'; the model's fields are tailnum, origin, dest, hour, gust"),
        ({k: v for k, v in INSTANCE.items() if k != "dest"}, "field 'dest' is missing; the model needs tailnum"),
        ({**INSTANCE, "hour": None}, "field 'hour' is null"),
        ({**INSTANCE, "tailnum": None}, "field 'tailnum' is null"),
        ({**INSTANCE, "tailnum": 1.5}, "field 'tailnum' must be text or a whole number, got a number"),
        ({**INSTANCE, "hour": "5"}, "field 'hour' must be a number, got text"),
        ({**INSTANCE, "hour": True}, "field 'hour' must be a number, got a boolean"),
        ({**INSTANCE, "gust": [1]}, "field 'gust' must be a number, got an array"),
        ({**INSTANCE, "hour": 1e39}, "field 'hour' is 1e+39, which is too large for FP32"),
        ({**INSTANCE, "hour": 10**400}, "too large for FP32"),
        ({"tailnum": "N1", "a": 1, "b": 2, "c": 3, "d": 4}, "unknown field 'a'"),
        ([1, 2], "must be an object with the fields tailnum, origin, dest, hour, gust, got an array"),
        (None, "got null"),
    ],
)
def test_an_instance_that_does_not_fit_is_refused_by_place_and_field(plan: ReadPlan, instance: Any, why: str) -> None:
    with pytest.raises(BadRequest) as refused:
        plan.read([INSTANCE, instance])
    assert refused.value.message.startswith("instances[1]")
    assert why in refused.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys([*INSTANCE, "other"], JSON)) | JSON, max_size=3))
def test_whatever_instances_are_they_become_rows_or_a_refusal(instances: list[Any]) -> None:
    plan = flights()
    refusal, shape = "", None
    try:
        shape = plan.tensors(plan.read(instances), None, NOW_MS).tensors[0].shape
    except BadRequest as refused:
        refusal = refused.message
    assert shape == (len(instances), 6) or refusal.startswith("instances[")


def test_every_dtype_arrives_as_the_graph_wants_it() -> None:
    view = FeatureView(
        "v",
        ("id",),
        (feature("b", "bool"), feature("i", "int32"), feature("q", "int64"), feature("f"), feature("d", "float64")),
    )
    columns = {
        "FP32": ("<4f", ("v.f", "v.b", "v.i", "v.q")),
        "FP64": ("<5d", ("v.d", "v.q", "v.i", "v.f", "v.b")),
        "INT64": ("<4q", ("v.q", "v.i", "v.b", "request.n")),
        "INT32": ("<2i", ("v.b", "v.i")),
        "BOOL": ("<2?", ("v.b", "request.t")),
    }
    inputs = ModelInputs("m", tuple((name, names) for name, (_, names) in columns.items()), (view,))
    specs = [TensorSpec(name, name, (-1, len(names))) for name, (_, names) in columns.items()]
    plan = compile_plan(inputs, signature(*specs))
    # A packed boolean that is true and not 1.
    packed = RowLayout(view).pack([True, -3, 2**40, 0.5, 0.1], 0).replace(b"\x1f\x01", b"\x1f\x07", 1)
    filled = plan.tensors(plan.read([{"id": 1, "n": 4, "t": False}]), {row_key(view, [1]): packed}, NOW_MS)
    got = {t.name: list(struct.unpack(columns[t.name][0], t.data)) for t in filled.tensors}
    assert got == {
        "FP32": [0.5, 1, -3, float(2**40)],
        "FP64": [0.1, float(2**40), -3, 0.5, 1],
        "INT64": [2**40, -3, 1, 4],
        "INT32": [1, -3],
        "BOOL": [True, False],
    }
    assert bytes(filled.tensors[-1].data) == b"\x01\x00"


@given(st.permutations(COLUMNS), st.lists(NAN_FREE, min_size=5, max_size=5))
def test_columns_in_any_order_get_their_own_values(columns: list[str], values: list[float]) -> None:
    plan = compile_plan(
        ModelInputs("m", (("x", tuple(columns)),), (PLANE, ROUTE), {"gust": 25.0}),
        signature(TensorSpec("x", "FP32", (-1, 6))),
    )
    found = {
        row_key(PLANE, ["N1"]): RowLayout(PLANE).pack(values[:2], NOW_MS / 1000),
        row_key(ROUTE, ["EWR", "IAH"]): RowLayout(ROUTE).pack(values[2:], 0),
    }
    named = dict(zip(("plane.year", "plane.seats", "route.delay", "route.rate", "route.flights"), values, strict=True))
    named |= {"request.hour": 5, "request.gust": 9.5}
    row = floats(plan.tensors(plan.read([INSTANCE]), found, NOW_MS).tensors[0])
    assert row == [named[column] for column in columns]


def test_one_column_fits_inputs_of_one_and_two_dimensions() -> None:
    inputs = ModelInputs("m", (("a", ("request.n",)), ("b", ("request.n",)), ("c", ("request.n",))))
    specs = [TensorSpec("a", "FP32", (-1,)), TensorSpec("b", "FP32", (-1, 1)), TensorSpec("c", "FP32", (-1, -1))]
    plan = compile_plan(inputs, signature(*specs))
    filled = plan.tensors(plan.read([{"n": 1}, {"n": 2}]), {}, NOW_MS)
    assert [t.shape for t in filled.tensors] == [(2,), (2, 1), (2, 1)]
    assert [floats(t) for t in filled.tensors] == [[1, 2]] * 3
    assert plan.read([{"n": 1}]).key is None
