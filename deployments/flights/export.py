"""Both models as ONNX: `input` float32 [-1, features] to `label` int64 [-1] and `probabilities` float32 [-1, 2]."""

from __future__ import annotations

import lightgbm
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from deployments.flights.columns import FEATURES
from deployments.flights.train import LinearModel

OPSET = 17
ML_OPSET = 3
IR_VERSION = 8


def linear_to_onnx(model: LinearModel, defaults: np.ndarray) -> onnx.ModelProto:
    """The regression as elementwise operators, a sum per row and a softmax per row.

    LinearClassifier and MatMul may choose their kernel by the number of rows, and then a row rounds differently alone
    and among others; here every row takes the same steps in either case.
    """
    nodes = [
        helper.make_node("Sub", ["finished", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        helper.make_node("Mul", ["scaled", "weights"], ["terms"]),
        helper.make_node("ReduceSum", ["terms", "last_axis"], ["sum"], keepdims=1),
        helper.make_node("Add", ["sum", "bias"], ["log_odds"]),
        # softmax(-z/2, z/2) is (1 - sigmoid(z), sigmoid(z)).
        helper.make_node("Mul", ["log_odds", "halves"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    constants: dict[str, np.ndarray] = {
        "mean": model.mean.astype(np.float32),
        "scale": model.scale.astype(np.float32),
        "weights": model.weights.astype(np.float32),
        "bias": np.array([model.bias], dtype=np.float32),
        "halves": np.array([-0.5, 0.5], dtype=np.float32),
        "last_axis": np.array([1], dtype=np.int64),
    }
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return complete(helper.make_graph(nodes, "flight-delay-linear", [], [], initializers), defaults)


def trees_to_onnx(trees: lightgbm.Booster, defaults: np.ndarray) -> onnx.ModelProto:
    """The trees as one TreeEnsembleClassifier, without the ZipMap that would turn probabilities into dictionaries."""
    exact = with_float32_thresholds(trees)
    rows = FloatTensorType([None, len(FEATURES)])
    # The converter knows operators up to 15; what it uses of them has not changed since.
    graph = convert_lightgbm(exact, initial_types=[("input", rows)], zipmap=False, target_opset=15).graph
    for node in graph.node:
        node.input[:] = ["finished" if name == "input" else name for name in node.input]
    return complete(graph, defaults)


def with_float32_thresholds(trees: lightgbm.Booster) -> lightgbm.Booster:
    """The same trees for float32 rows, each threshold moved down to the next float32.

    ONNX keeps thresholds as float32, rounded to the nearest: where that is upwards, a value of the data can come to lie
    on the other side (in one fit 50 of 82,609 test flights, by up to 0.05). Rounded down, `x <= threshold` stays what
    it was.
    """
    text = trees.model_to_string().split("\n")
    # Without the trees' lengths in bytes, which the new thresholds change, they are found by reading.
    lines = [line for line in text if not line.startswith("tree_sizes=")]
    for number, line in enumerate(lines):
        if line.startswith("threshold="):
            exact = np.array(line.removeprefix("threshold=").split(), dtype=np.float64)
            lines[number] = "threshold=" + " ".join(repr(float(value)) for value in float32_below(exact))
    return lightgbm.Booster(model_str="\n".join(lines))


def float32_below(values: np.ndarray) -> np.ndarray:
    """The largest float32 not above each float64."""
    nearest = values.astype(np.float32)
    return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def complete(graph: onnx.GraphProto, defaults: np.ndarray) -> onnx.ModelProto:
    """The graph with its first step and the signature both versions share (LightGBM's export declares label as [1])."""
    # A missing value becomes the feature's default inside the graph, so that sending NaN and sending the default give
    # the same answer.
    finish = [
        helper.make_node("IsNaN", ["input"], ["missing"]),
        helper.make_node("Where", ["missing", "defaults", "input"], ["finished"]),
    ]
    nodes = [*finish, *graph.node]
    initializers = [numpy_helper.from_array(defaults, "defaults"), *graph.initializer]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, len(FEATURES)])]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
    ]
    whole = helper.make_graph(nodes, graph.name, inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(whole, opset_imports=opsets, producer_name="sluice-flights", ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model
