"""Makes the benchmark's model, the same bytes every time: 32 floats, one hidden layer, two floats."""

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
