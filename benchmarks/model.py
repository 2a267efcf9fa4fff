"""Makes the benchmark's models, the same bytes every time: 32 floats to two by one hidden layer; and simpler ones."""

from __future__ import annotations

from pathlib import Path

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
# One row of the model that takes large ones.
FRAMES = (1_000, 128)


def build(repository: Path) -> Path:
    """Write `mlp/1/model.onnx` below the repository: FP32 [-1, 32] to FP32 [-1, 2]."""
    path = repository / NAME / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model_bytes())
    return path


def model_bytes() -> bytes:
    """The model as an ONNX file, with weights from a fixed seed."""
    random = np.random.default_rng(7)
    weights = {
        "w1": random.normal(size=(FEATURES, HIDDEN)).astype(np.float32) / np.float32(np.sqrt(FEATURES)),
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
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", FEATURES])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    # Old enough for every onnxruntime that anybody still runs.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


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
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString(deterministic=True))
    return path
