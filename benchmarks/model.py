"""Makes the benchmark's models, the same bytes every time: 32 floats to two by one hidden layer; and simpler ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NAME = "mlp"
INPUT = "input"
OUTPUT = "output"
FEATURES = 32
# A run of one row then takes 5 to 8 us on an idle core, nearly all of it the call and not the arithmetic.
HIDDEN = 64
CLASSES = 2
# The boosted trees: so many, so deep, over the same features.
TREES = 200
DEPTH = 6
# One row of the model that takes large ones.
FRAMES = (1_000, 128)


def build(repository: Path, features: int = FEATURES) -> Path:
    """Write `mlp/1/model.onnx` below the repository: FP32 [-1, features] to FP32 [-1, 2]."""
    path = repository / NAME / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model_bytes(features))
    return path


def model_bytes(features: int = FEATURES) -> bytes:
    """The model as an ONNX file, with weights from a fixed seed."""
    random = np.random.default_rng(7)
    weights = {
        "w1": random.normal(size=(features, HIDDEN)).astype(np.float32) / np.float32(np.sqrt(features)),
        "b1": random.normal(size=HIDDEN).astype(np.float32),
        "w2": random.normal(size=(HIDDEN, CLASSES)).astype(np.float32) / np.float32(np.sqrt(HIDDEN)),
        "b2": random.normal(size=CLASSES).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", [INPUT, "w1", "b1"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["active"]),
            helper.make_node("Gemm", ["active", "w2", "b2"], [OUTPUT]),
        ],
        NAME,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", features])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    # Old enough for every onnxruntime that anybody still runs.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def build_trees(repository: Path) -> Path:
    """Write `gbdt/1/model.onnx`: FP32 [-1, 32] to FP32 [-1, 1], the sum of 200 trees of 63 splits from a fixed seed."""
    trees = helper.make_node("TreeEnsembleRegressor", [INPUT], [OUTPUT], domain="ai.onnx.ml", **_trees())
    given = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", FEATURES])
    made = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", 1])
    return _write(repository, "gbdt", helper.make_graph([trees], "gbdt", [given], [made]))


def _trees() -> dict[str, Any]:
    # Whole trees as heaps: the children of node i are 2i + 1 and 2i + 2.
    random = np.random.default_rng(17)
    splits, nodes = 2**DEPTH - 1, 2 ** (DEPTH + 1) - 1
    numbers = np.tile(np.arange(nodes), TREES)
    inner = numbers < splits
    leaves = np.flatnonzero(~inner)
    return {
        "nodes_treeids": np.repeat(np.arange(TREES), nodes).tolist(),
        "nodes_nodeids": numbers.tolist(),
        "nodes_modes": np.where(inner, "BRANCH_LEQ", "LEAF").tolist(),
        "nodes_featureids": np.where(inner, random.integers(0, FEATURES, len(numbers)), 0).tolist(),
        # Features are about normal, so that most splits part the rows.
        "nodes_values": np.where(inner, random.normal(size=len(numbers)), 0).tolist(),
        "nodes_truenodeids": np.where(inner, 2 * numbers + 1, 0).tolist(),
        "nodes_falsenodeids": np.where(inner, 2 * numbers + 2, 0).tolist(),
        "target_treeids": np.repeat(np.arange(TREES), splits + 1).tolist(),
        "target_nodeids": numbers[leaves].tolist(),
        "target_ids": [0] * len(leaves),
        "target_weights": (random.normal(size=len(leaves)) / np.sqrt(TREES)).tolist(),
        "n_targets": 1,
        "post_transform": "NONE",
    }


def build_means(repository: Path) -> Path:
    """Write `frames/1/model.onnx`: FP32 [-1, 1000, 128] to the means of its steps, FP32 [-1, 128]."""
    means = helper.make_node("ReduceMean", [INPUT], [OUTPUT], axes=[1], keepdims=0)
    given = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", *FRAMES])
    made = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", FRAMES[1]])
    return _write(repository, "frames", helper.make_graph([means], "frames", [given], [made]))


def build_same(repository: Path, name: str) -> Path:
    """Write `NAME/1/model.onnx`, which answers what it gets: `text` of strings, any other of FP32, both [-1, -1]."""
    kind = TensorProto.STRING if name == "text" else TensorProto.FLOAT
    given = helper.make_tensor_value_info(INPUT, kind, ["batch", "width"])
    made = helper.make_tensor_value_info(OUTPUT, kind, ["batch", "width"])
    same = helper.make_node("Identity", [INPUT], [OUTPUT])
    return _write(repository, name, helper.make_graph([same], name, [given], [made]))


def _write(repository: Path, name: str, graph: onnx.GraphProto) -> Path:
    path = repository / name / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString(deterministic=True))
    return path
