"""What is asked of every contender: the request's bytes, and the answers that onnxruntime gives when fed directly."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import orjson
from numpy.typing import NDArray

from benchmarks import model

FLIGHTS = Path(__file__).parent.parent / "deployments" / "flights" / "models"
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Workload:
    """Rows for one model: `rows` is float32 [n, features], `expected` holds each output as [n, ...]."""

    name: str
    model: str
    version: int
    input_name: str
    rows: Array
    expected: tuple[NDArray[np.generic], ...]
    output_names: tuple[str, ...]

    @property
    def path(self) -> str:
        """Where every contender takes it."""
        return f"/v2/models/{self.model}/infer"

    def body(self, row: int) -> bytes:
        """One row as a request of the Open Inference Protocol (JSON, flat data)."""
        values = [round(float(value), 6) for value in self.rows[row]]
        tensor = {"name": self.input_name, "shape": [1, len(values)], "datatype": "FP32", "data": values}
        return orjson.dumps({"inputs": [tensor]})

    def answer(self, row: int) -> bytes:
        """An answer of the same protocol, for contenders that only send bytes."""
        outputs = [
            {"name": name, "datatype": "FP32", "shape": [1, values[row].size], "data": values[row].ravel().tolist()}
            for name, values in zip(self.output_names, self.expected, strict=True)
        ]
        return orjson.dumps({"model_name": self.model, "model_version": str(self.version), "outputs": outputs})


def mlp(repository: Path, count: int = 200) -> Workload:
    """The tiny model and rows of two decimals, which makes a body of about 260 bytes."""
    path = model.build(repository)
    rows = np.random.default_rng(11).normal(size=(count, model.FEATURES)).round(2).astype(np.float32)
    return _workload("mlp", path, rows)


def flights(repository: Path, count: int = 200) -> Workload | None:
    """The newest version of the flights example, and rows made for its input; None where it has not been built."""
    versions = sorted((FLIGHTS / "flight-delay").glob("[0-9]*/model.onnx"), key=lambda path: int(path.parent.name))
    if not versions:
        return None
    shutil.copytree(FLIGHTS / "flight-delay", repository / "flight-delay", dirs_exist_ok=True)
    newest = repository / "flight-delay" / versions[-1].parent.name / "model.onnx"
    inputs = _session(newest).get_inputs()
    if len(inputs) != 1:
        return None
    rows = np.random.default_rng(13).uniform(0, 12, size=(count, inputs[0].shape[1])).round(1).astype(np.float32)
    return _workload("flights", newest, rows)


def _workload(name: str, path: Path, rows: Array) -> Workload:
    session = _session(path)
    input_name = session.get_inputs()[0].name
    # Row by row: a model's answer to one row is what every contender is held to, batched or not.
    answers: list[Sequence[NDArray[np.generic]]] = [session.run(None, {input_name: row[None]}) for row in rows]
    expected = tuple(np.concatenate(column) for column in zip(*answers, strict=True))
    names = tuple(output.name for output in session.get_outputs())
    version = int(path.parent.name)
    return Workload(name, path.parent.parent.name, version, input_name, rows, expected, names)


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


WORKLOADS: dict[str, Callable[[Path], Workload | None]] = {"mlp": mlp, "flights": flights}
