"""Transforms on the way of a request give the bits that they give over a whole table."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest, ConfigInvalid
from serving.features.compilation import compile_plan
from serving.features.explanation import Wants
from serving.features.feature_view import FeatureView, feature
from serving.features.keys import row_key
from serving.features.model_inputs import ModelInputs
from serving.features.packed import RowLayout
from serving.features.plan import ROWS_A_TURN, ReadPlan
from serving.features.transforms.declared import declared
from serving.features.transforms.offline import model_columns, model_rows
from serving.features.whole_rows import FEWEST
from serving.inference import Tensor, TensorSpec
from tests.unit.features.conftest import signature

VIEW = FeatureView(
    "v", ("id",), (feature("f", default=2.5), feature("n", "int32"), feature("big", "int64"), feature("d", "float64"))
)
LAYOUT = RowLayout(VIEW)
MIXED: list[Any] = [
    "v.f",
    {"cyclic": "request.hour", "period": 24},
    "request.hour",
    {"one_hot": "request.carrier", "values": ["UA", "AA", 7]},
    {"log1p": "v.f"},
    {"ratio": ["v.d", "v.n"], "otherwise": -1},
    "v.n",
    {"hash": "v.big", "buckets": 1_000},
    {"hash": "request.carrier", "buckets": 16},
    {"haversine": ["v.f", "v.d", "request.hour", "request.at"]},
    {"lookup": "v.n", "table": {0: [0.1, 9], 1: [0.2, 8]}, "otherwise": [0.3, 7]},
    {"clip": "request.at", "high": 1e9},
    {"cyclic": "request.at", "of": "hour"},
]
WIDTH = len(model_columns(MIXED))
NOW_MS = 1_700_000_000_000


def entries(features: list[Any]) -> tuple[Any, ...]:
    return tuple(one if isinstance(one, str) else declared(one) for one in features)


def plan_of(features: list[Any], datatype: str = "FP32", **defaults: float | str) -> ReadPlan:
    width = len(model_columns(features))
    inputs = ModelInputs("m", (("x", entries(features)),), (VIEW,), defaults)
    return compile_plan(inputs, signature(TensorSpec("x", datatype, (-1, width))))


PLANS = {datatype: plan_of(MIXED, datatype) for datatype in ("FP32", "FP64")}
ROW = st.fixed_dictionaries(
    {
        "v.f": st.floats(0, 1e6, width=32),
        "v.n": st.integers(0, 3),
        "v.big": st.integers(-(2**63), 2**63 - 1),
        "v.d": st.floats(-90, 90),
        "request.hour": st.floats(0, 24) | st.integers(0, 24),
        "request.carrier": st.sampled_from(["UA", "AA", "DL", "7", 7, "é"]),
        "request.at": st.integers(-(2**40), 2**40) | st.floats(-1e12, 1e12),
    }
)


def instance(number: int, row: dict[str, Any]) -> dict[str, Any]:
    return {"id": number} | {name: row[f"request.{name}"] for name in ("hour", "carrier", "at")}


def stored(rows: list[dict[str, Any]]) -> dict[bytes, bytes | None]:
    names = ("v.f", "v.n", "v.big", "v.d")
    return {row_key(VIEW, [n]): LAYOUT.pack([row[name] for name in names], 0) for n, row in enumerate(rows)}


def table(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def bits(tensors: list[Tensor]) -> bytes:
    (tensor,) = tensors
    return bytes(tensor.data)


@pytest.mark.parametrize("datatype", PLANS)
@given(rows=st.lists(ROW, min_size=1, max_size=20))
def test_one_row_many_in_a_request_many_requests_and_a_table_have_the_same_bits(
    datatype: str, rows: list[dict[str, Any]]
) -> None:
    plan, found = PLANS[datatype], stored(rows)
    asked = [plan.read([instance(number, row)]) for number, row in enumerate(rows)]
    alone = [bits(plan.tensors(one, found, NOW_MS).tensors) for one in asked]
    one_request = plan.read([instance(number, row) for number, row in enumerate(rows)])
    assert bits(plan.tensors(one_request, found, NOW_MS).tensors) == b"".join(alone)
    together = plan.whole_rows.tensors(asked, found, NOW_MS)
    assert (together is None) == (len(rows) < FEWEST)
    assert together is None or list(map(bits, together)) == alone
    offline = model_rows(MIXED, table(rows)).astype("<f4" if datatype == "FP32" else "<f8")
    assert offline.tobytes() == b"".join(alone)


def test_a_request_of_several_turns_has_them_too() -> None:
    rows = [
        {"v.f": 1.5, "v.n": 1, "v.big": 5, "v.d": 2.0, "request.hour": n % 24, "request.carrier": n, "request.at": n}
        for n in range(ROWS_A_TURN + 7)
    ]
    plan, found = PLANS["FP32"], stored(rows)
    asked = plan.read([instance(number, row) for number, row in enumerate(rows)])
    turns, tensors = 0, list[Tensor]()
    filling = plan.gradually(asked, found, NOW_MS)
    while not tensors:
        try:
            next(filling)
            turns += 1
        except StopIteration as done:
            tensors = done.value.tensors
    assert turns == 2
    assert tensors[0].shape == (len(rows), WIDTH)
    assert bits(tensors) == model_rows(MIXED, table(rows)).astype("<f4").tobytes()


def test_a_default_that_stands_in_is_transformed_like_a_value() -> None:
    plan = plan_of([{"log1p": "v.f"}, {"lookup": "request.kind", "table": {"a": 4}, "otherwise": 0}], kind="a")
    filled = plan.tensors(plan.read([{"id": 1}]), {row_key(VIEW, [1]): None}, NOW_MS)
    assert np.frombuffer(filled.tensors[0].data, "<f4").tolist() == [np.float32(np.log1p(2.5)), 4.0]
    assert filled.degraded == "v=not_found"


def test_callers_are_told_what_to_send_for_transforms() -> None:
    plan = plan_of([{"hash": "request.browser", "buckets": 8}, {"log": "request.size"}, "request.age"], browser="none")
    assert [(f.name, f.dtype, f.default) for f in plan.request_fields] == [
        ("age", "FP32", None),
        ("size", "FP64", None),
        ("browser", "BYTES", "none"),
    ]


@pytest.mark.parametrize(("value", "kind"), [(1.5, "a number"), (True, "a boolean"), ([], "an array")])
def test_a_field_that_is_looked_up_must_be_a_word(value: object, kind: str) -> None:
    plan = plan_of([{"hash": "request.browser", "buckets": 8}])
    with pytest.raises(BadRequest, match=f"field 'browser' must be text or a whole number, got {kind}"):
        plan.read([{"browser": value}])
    with pytest.raises(BadRequest, match="field 'browser' is missing"):
        plan.read([{}])


def test_the_row_is_told_by_the_names_of_what_transforms_make() -> None:
    plan = PLANS["FP32"]
    rows = plan.read([{"id": 1, "hour": 6, "carrier": "AA", "at": 0}])
    rows.wants = Wants(status=False, values=True)
    told: Any = plan.explanation.told(rows, {}, NOW_MS, plan.tensors(rows, {}, NOW_MS).tensors)
    (row,) = told["features"]
    assert list(row["x"]) == model_columns(MIXED)
    assert (row["x"]["cyclic(request.hour).sin"], row["x"]["one_hot(request.carrier)=AA"]) == (1.0, 1.0)


def test_another_process_makes_the_same_plan() -> None:
    again = compile_plan(*pickle.loads(pickle.dumps(PLANS["FP32"].recipe)))
    one = {"id": 1, "hour": 6, "carrier": "AA", "at": 0}
    assert again.read([one]).sent == PLANS["FP32"].read([one]).sent


@pytest.mark.parametrize(
    ("features", "datatype", "why"),
    [
        ([{"log": "v.f"}], "INT64", "input 'x' is INT64, which cannot hold what log(v.f) gives; FP32 and FP64 can"),
        ([{"hash": "request.b", "buckets": 300}], "UINT8", "which cannot hold what hash(request.b) gives"),
        ([{"hash": "request.b", "buckets": 5_000}], "FP16", "which cannot hold what hash(request.b) gives"),
        ([{"lookup": "request.b", "table": {"a": 0.5}, "otherwise": 0}], "INT32", "which cannot hold what lookup"),
        ([{"hash": "request.b", "buckets": 3}], "BOOL", "which cannot hold what hash(request.b) gives"),
        ([{"hash": "v.f", "buckets": 8}], "FP32", "hash(v.f) takes text or whole numbers, and v.f is float32"),
        ([{"log": "w.f"}], "FP32", "column w.f names no feature view; there are v, request"),
        ([{"log": "v.g"}], "FP32", "view 'v' has no feature 'g'; it has f, n, big, d"),
        ([{"log": "hour"}], "FP32", "'hour' is no column; write <view>.<feature> or request.<field>"),
    ],
)
def test_what_does_not_fit_the_graph_is_refused_when_it_is_loaded(features: list[Any], datatype: str, why: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        plan_of(features, datatype)
    assert why in refused.value.message


@pytest.mark.parametrize(
    ("features", "defaults", "why"),
    [
        ([{"log": "request.a"}], {"a": "x"}, "'a' must be a number, got text, for input 'x'"),
        ([{"hash": "request.a", "buckets": 8}], {"a": 1.5}, "'a' must be text or a whole number, got a number"),
        ([{"log": "request.a"}], {"b": 1.0}, "request_defaults names 'b', but no input has the column request.b"),
        (["v.f", {"log": "request.id"}], {"id": 1.0}, "request_defaults names 'id', which finds the row of view 'v'"),
    ],
)
def test_a_default_that_nothing_can_be_made_of_is_refused(
    features: list[Any], defaults: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        plan_of(features, **defaults)
    assert why in refused.value.message


@pytest.mark.parametrize(
    ("datatype", "dtype", "features"),
    [
        ("INT64", "<i8", [{"hash": "request.b", "buckets": 2**24}, {"one_hot": "request.b", "values": ["a"]}]),
        ("UINT8", "u1", [{"hash": "request.b", "buckets": 256}]),
        ("BOOL", "?", [{"one_hot": "request.b", "values": ["a", "b"]}]),
        ("FP16", "<f2", [{"hash": "request.b", "buckets": 2_048}]),
    ],
)
def test_whole_results_go_where_they_fit(datatype: str, dtype: str, features: list[Any]) -> None:
    plan = plan_of(features, datatype)
    tensors = plan.tensors(plan.read([{"b": "a"}]), {}, NOW_MS).tensors
    assert bits(tensors) == model_rows(features, {"request.b": ["a"]}).astype(dtype).tobytes()
