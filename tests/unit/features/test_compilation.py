"""What the configuration says of inputs, checked against what the graph declares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ConfigInvalid
from serving.features.compilation import compile_plan
from serving.features.feature_view import FeatureView, feature
from serving.features.model_inputs import ModelInputs
from serving.features.segments import FORMATS
from serving.inference import TensorSpec
from tests.unit.features.conftest import COLUMNS, PLANE, ROUTE, signature

BY_HOUR = FeatureView("by_hour", ("hour",), (feature("delay"),))
INT_VIEW = FeatureView("n", ("id",), (feature("big", "int64"), feature("exact", "float64")))


@pytest.mark.parametrize(
    ("columns", "spec", "why"),
    [
        (COLUMNS, TensorSpec("x", "FP32", (-1, 7)), "input 'x' takes rows of 7 values, and 6 columns are named"),
        (COLUMNS, TensorSpec("y", "FP32", (-1, 6)), "the model has no input 'x'; its inputs are y"),
        (COLUMNS, TensorSpec("x", "BYTES", (-1, 6)), "input 'x' is BYTES; features are numbers and booleans"),
        (COLUMNS, TensorSpec("x", "FP32", ()), "input 'x' is a scalar"),
        (COLUMNS, TensorSpec("x", "FP32", (-1, -1, 3)), "features make rows of one open dimension"),
        ((), TensorSpec("x", "FP32", (-1, 0)), "input 'x' has no columns"),
        (("plane.year",), TensorSpec("x", "INT64", (-1, 1)), "plane.year is float32, which becomes FP32 or FP64 only"),
        (("n.big",), TensorSpec("x", "INT32", (-1, 1)), "n.big is int64, which becomes FP32 or FP64 or INT64 only"),
        (("n.exact",), TensorSpec("x", "FP32", (-1, 1)), "n.exact is float64, which becomes FP64 only"),
        (
            ("plan.year",),
            TensorSpec("x", "FP32", (-1, 1)),
            "plan.year names no feature view; there are plane, route, n",
        ),
        (("plane.yeer",), TensorSpec("x", "FP32", (-1, 1)), "view 'plane' has no feature 'yeer'; it has year, seats"),
        (("year",), TensorSpec("x", "FP32", (-1, 1)), "'year' is no column; write <view>.<feature> or request.<field>"),
    ],
)
def test_what_does_not_fit_the_graph_is_named(columns: tuple[str, ...], spec: TensorSpec, why: str) -> None:
    inputs = ModelInputs("late", (("x", columns),), (PLANE, ROUTE, INT_VIEW))
    with pytest.raises(ConfigInvalid) as refused:
        compile_plan(inputs, signature(spec))
    assert refused.value.message.startswith("models.late: ")
    assert why in refused.value.message


def test_every_problem_is_named_at_once() -> None:
    inputs = ModelInputs("late", (("x", ("plane.a", "route.b")),), (PLANE,), {"gust": 1.0})
    with pytest.raises(ConfigInvalid) as refused:
        compile_plan(inputs, signature(TensorSpec("x", "FP32", (-1, 3)), TensorSpec("z", "FP32", (-1, 1))))
    assert len(refused.value.message.splitlines()) == 5


def test_a_default_for_a_field_that_nobody_reads_is_refused() -> None:
    inputs = ModelInputs("late", (("x", ("request.hour",)),), (), {"our": 1.0})
    with pytest.raises(ConfigInvalid, match="request_defaults names 'our'"):
        compile_plan(inputs, signature(TensorSpec("x", "FP32", (-1, 1))))


def test_a_matrix_of_known_size_takes_its_number_of_columns() -> None:
    inputs = ModelInputs("late", (("x", COLUMNS),), (PLANE, ROUTE))
    plan = compile_plan(inputs, signature(TensorSpec("x", "FP32", (-1, 2, 3))))
    instance = {"tailnum": "N1", "origin": "a", "dest": "b", "hour": 1, "gust": 2}
    assert plan.tensors(plan.read([instance]), None, 0).tensors[0].shape == (1, 2, 3)


@pytest.mark.parametrize(
    ("datatype", "default", "why"),
    [
        ("INT64", 0.5, "must be a whole number, got a number"),
        ("INT64", 5.0, "must be a whole number, got a number"),
        ("INT64", 2**63, "is 9223372036854775808, which is too large for INT64"),
        ("UINT8", -1, "is -1, which is too large for UINT8"),
        ("FP32", True, "must be a number, got a boolean"),
        ("FP32", 1e300, "is 1e+300, which is too large for FP32"),
        ("FP16", 70_000, "is 70000, which is too large for FP16"),
        ("BOOL", 1, "must be true or false, got a whole number"),
    ],
)
def test_a_default_that_its_input_cannot_hold_is_refused(datatype: str, default: float, why: str) -> None:
    fitting = {"FP64": ("a", ("request.hour",)), datatype: ("x", ("request.gust", "request.hour"))}
    inputs = ModelInputs("late", tuple(fitting.values()), (), {"hour": default})
    specs = [TensorSpec(name, datatype, (-1, len(columns))) for datatype, (name, columns) in fitting.items()]
    with pytest.raises(ConfigInvalid) as refused:
        compile_plan(inputs, signature(*specs))
    assert f"models.late: request_defaults: 'hour' {why}, for input 'x'" in refused.value.message.splitlines()


@given(st.sampled_from(list(FORMATS)), st.integers() | st.floats() | st.booleans())
def test_a_default_that_is_taken_stands_in(datatype: str, default: float) -> None:
    inputs = ModelInputs("late", (("x", ("request.hour",)),), (), {"hour": default})
    try:
        plan = compile_plan(inputs, signature(TensorSpec("x", datatype, (-1, 1))))
    except ConfigInvalid:
        return
    assert plan.tensors(plan.read([{}, {"hour": None}]), None, 0).tensors[0].shape == (2, 1)


@pytest.mark.parametrize("default", [5, 5.0, 0.5])
def test_a_default_for_what_finds_a_row_is_refused(default: float) -> None:
    inputs = ModelInputs("late", (("x", ("by_hour.delay", "request.hour")),), (BY_HOUR,), {"hour": default})
    with pytest.raises(ConfigInvalid, match="'hour', which finds the row of view 'by_hour'; callers have to send it"):
        compile_plan(inputs, signature(TensorSpec("x", "FP32", (-1, 2))))


def test_an_id_that_is_sent_as_a_boolean_as_well_is_refused() -> None:
    inputs = ModelInputs("late", (("x", ("by_hour.delay",)), ("flag", ("request.hour",))), (BY_HOUR,))
    with pytest.raises(ConfigInvalid, match="'hour' finds rows of view 'by_hour': an id is text or a whole number"):
        compile_plan(inputs, signature(TensorSpec("x", "FP32", (-1, 1)), TensorSpec("flag", "BOOL", (-1, 1))))
