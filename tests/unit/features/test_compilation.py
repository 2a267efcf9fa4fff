"""What the configuration says of inputs, checked against what the graph declares."""

from __future__ import annotations

import pytest

from serving.errors import ConfigInvalid
from serving.features.compilation import compile_plan
from serving.features.feature_view import FeatureView, feature
from serving.features.plan import ModelInputs
from serving.inference import TensorSpec
from tests.unit.features.conftest import COLUMNS, PLANE, ROUTE, signature

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
