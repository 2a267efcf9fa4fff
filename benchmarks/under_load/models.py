"""Models whose run takes a chosen time on this machine: so long a row however batched, or so long a run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from benchmarks.encodings import BinaryTensors, Encoding
from benchmarks.workload import Workload, mlp
from serving.testing.models import FLOAT, INT64, graph_of, node, save, value

_WIDTH = 64
_FEATURES = 4
_ROWS = 256


def work(rounds: int, *, per_row: bool) -> onnx.ModelProto:
    """`x` FP32 [-1, 4] → `y` = 2x after so many rounds of multiplying matrices: a row, or a run."""
    body = helper.make_graph(
        [node("MatMul", ["state", "m"], ["product"]), node("Identity", ["go"], ["go_on"])],
        "round",
        [value("round", INT64, []), value("go", TensorProto.BOOL, []), value("state", FLOAT, [_WIDTH, _WIDTH])],
        [value("go_on", TensorProto.BOOL, []), value("product", FLOAT, [_WIDTH, _WIDTH])],
    )
    counted = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "first"], ["rows"]),
        node("Mul", ["rows", "rounds"], ["trips"]),
    ]
    nodes = [
        *(counted if per_row else [node("Identity", ["rounds"], ["trips"])]),
        helper.make_node("Loop", ["trips", "yes", "m"], ["end"], body=body),
        node("ReduceSum", ["end"], ["sum"], keepdims=0),
        node("Mul", ["sum", "zero"], ["nothing"]),
        node("Add", ["x", "x"], ["doubled"]),
        node("Add", ["doubled", "nothing"], ["y"]),
    ]
    constants = {
        "rounds": np.int64(rounds),
        "yes": np.array(1, np.bool_),
        "m": np.eye(_WIDTH, dtype=np.float32),
        "zero": np.float32(0),
        **({"first": np.int64(0)} if per_row else {}),
    }
    shape: list[int | str] = ["n", _FEATURES]
    return graph_of(nodes, [value("x", FLOAT, shape)], [value("y", FLOAT, shape)], constants)


def calibrated(repository: Path, name: str, run_ms: float, *, per_row: bool) -> Workload:
    """A model that takes this long a row, or a run, and rows to ask it for; measured at the quietest of some runs."""
    rounds = 100
    for _ in range(3):
        rounds = max(1, round(rounds * run_ms / _run_ms(work(rounds, per_row=per_row))))
    save(repository, name, 1, work(rounds, per_row=per_row))
    rows = np.random.default_rng(17).normal(size=(_ROWS, _FEATURES)).astype(np.float32)
    return Workload(name, name, 1, "x", rows, (rows * 2,), ("y",), BinaryTensors())


def tiny(repository: Path, encoding: Encoding) -> Workload:
    """The MLP that everything is measured with."""
    return replace(mlp(repository, _ROWS), encoding=encoding)


def _run_ms(model: onnx.ModelProto) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    row = {"x": np.zeros((1, _FEATURES), np.float32)}
    took = []
    for _ in range(20):
        began = time.perf_counter()
        session.run(None, row)
        took.append(time.perf_counter() - began)
    # Whatever else runs only adds: the least is the model's own.
    return min(took) * 1e3
