"""What is asked of every contender: the request's bytes, and the answers that onnxruntime gives when fed directly."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import orjson
from numpy.typing import NDArray

from benchmarks import entity_rows, model

FLIGHTS = Path(__file__).parent.parent / "deployments" / "flights" / "models"
Array = NDArray[np.float32]
# Requests that the load sends in turn.
ASKED = 20_000


@dataclass(frozen=True, slots=True)
class Workload:
    """Rows for one model: `rows` is float32 [n, features], `expected` holds each output as [n, ...].

    With `instances` each row is asked for by its entities' ids (V1), and has to be looked up. `varied` loads with all
    rows in turn, where one row again and again would be another question.
    """

    name: str
    model: str
    version: int
    input_name: str
    rows: Array
    expected: tuple[NDArray[np.generic], ...]
    output_names: tuple[str, ...]
    instances: Sequence[Mapping[str, str]] = ()
    varied: bool = False

    @property
    def path(self) -> str:
        """Where every contender takes it."""
        return f"/v1/models/{self.model}:predict" if self.instances else f"/v2/models/{self.model}/infer"

    def body(self, row: int) -> bytes:
        """One row as a request of the Open Inference Protocol (JSON, flat data), or as an instance of V1."""
        if self.instances:
            return orjson.dumps({"instances": [self.instances[row]]})
        values = [round(float(value), 6) for value in self.rows[row]]
        tensor = {"name": self.input_name, "shape": [1, len(values)], "datatype": "FP32", "data": values}
        return orjson.dumps({"inputs": [tensor]})

    def bodies(self) -> bytes:
        """What the load sends, a request a line."""
        rows = range(len(self.rows)) if self.varied else range(1)
        return b"\n".join(self.body(row) for row in rows)

    def given(self, body: bytes) -> list[NDArray[np.float64]]:
        """The values of an answer, flat, one array for each output.

        Raises:
            KeyError, TypeError, ValueError: the body has another form.
        """
        document = orjson.loads(body)
        if self.instances:
            return [np.asarray(document["predictions"][0], dtype=np.float64).ravel()]
        return [np.asarray(output["data"], dtype=np.float64).ravel() for output in document["outputs"]]

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


def entities(repository: Path) -> Workload:
    """The tiny model's rows by four ids, as many callers ask: some entities often, most of them seldom."""
    path = model.build(repository)
    asked = entity_rows.sample(ASKED)
    made = _workload("entities", path, entity_rows.finished(asked))
    return replace(made, instances=entity_rows.instances(asked), varied=True)


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


WORKLOADS: dict[str, Callable[[Path], Workload | None]] = {"mlp": mlp, "flights": flights, "entities": entities}
