"""What is asked of every contender: the request's bytes, and the answers that onnxruntime gives when fed directly."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import orjson
from numpy.typing import NDArray

from benchmarks import entity_rows, model
from benchmarks.encodings import BinaryTensors, Encoding, GrpcMessages, Instances, JsonTensors, Reply, floats, texts

FLIGHTS = Path(__file__).parent.parent / "deployments" / "flights" / "models"
Array = NDArray[np.float32]
# Requests that the load sends in turn.
ASKED = 20_000


@dataclass(frozen=True, slots=True)
class Workload:
    """Rows for one model: `rows` is [n, ...], `expected` holds each output as [n, ...].

    `varied` loads with all rows in turn, where one row again and again would be another question. `connections` are
    those of the run unless it names its own.
    """

    name: str
    model: str
    version: int
    input_name: str
    rows: NDArray[np.float32] | NDArray[np.object_]
    expected: tuple[NDArray[np.generic], ...]
    output_names: tuple[str, ...]
    encoding: Encoding = field(default_factory=JsonTensors)
    varied: bool = False
    connections: tuple[int, ...] = ()

    @property
    def path(self) -> str:
        """Where every contender takes it."""
        return self.encoding.path(self)

    @property
    def datatype(self) -> str:
        """In the protocol's words."""
        return "BYTES" if self.rows.dtype == object else "FP32"

    def data(self, row: int) -> bytes:
        """One row as the binary extension has it."""
        values = self.rows[row]
        if self.datatype == "FP32":
            return bytes(values.astype("<f4").tobytes())
        return b"".join([len(text).to_bytes(4, "little") + text for text in values.ravel().tolist()])

    def values(self, data: bytes) -> NDArray[np.float64]:
        """The other way round, as numbers that can be compared."""
        return floats(data) if self.datatype == "FP32" else texts(data)

    def wanted(self, row: int) -> list[NDArray[np.float64]]:
        """Right answers, in the form of `given`."""
        if self.datatype == "BYTES":
            return [texts(self.data(row))]
        return [values[row].ravel().astype(np.float64) for values in self.expected]

    def body(self, row: int) -> bytes:
        """One row as a request."""
        return self.encoding.body(self, row)

    def given(self, reply: Reply) -> list[NDArray[np.float64]]:
        """The values of an answer; raises as `Encoding.given` does."""
        return self.encoding.given(self, reply)

    def write_bodies(self, folder: Path) -> Path:
        """What the load sends: a request a line, or one request."""
        if not self.varied:
            path = folder / f"{self.name}.body"
            path.write_bytes(self.body(0))
            return path
        path = folder / f"{self.name}.lines"
        path.write_bytes(b"\n".join([self.body(row) for row in range(len(self.rows))]))
        return path

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
    inputs = session_of(newest).get_inputs()
    if len(inputs) != 1:
        return None
    rows = np.random.default_rng(13).uniform(0, 12, size=(count, inputs[0].shape[1])).round(1).astype(np.float32)
    return _workload("flights", newest, rows)


def gbdt(repository: Path, count: int = 200) -> Workload:
    """The rows of the tiny model for 200 boosted trees."""
    rows = np.random.default_rng(11).normal(size=(count, model.FEATURES)).round(2).astype(np.float32)
    return _workload("gbdt", model.build_trees(repository), rows)


def entities(repository: Path) -> Workload:
    """The tiny model's rows by four ids, as many callers ask: some entities often, most of them seldom."""
    path = model.build(repository)
    asked = entity_rows.sample(ASKED)
    made = _workload("entities", path, entity_rows.finished(asked))
    return replace(made, encoding=Instances(entity_rows.instances(asked)), varied=True)


def binary(repository: Path) -> Workload:
    """The tiny model's rows as binary tensors."""
    return replace(mlp(repository), name="binary", encoding=BinaryTensors())


def grpc(repository: Path) -> Workload:
    """The tiny model's rows as messages."""
    return replace(mlp(repository), name="grpc", encoding=GrpcMessages(), connections=(1, 64))


def frames(repository: Path) -> Workload:
    """1,000 steps of 128 floats a row, half a megabyte, to their means."""
    rows = np.random.default_rng(23).normal(size=(20, *model.FRAMES)).astype(np.float32)
    made = _workload("frames", model.build_means(repository), rows)
    return replace(made, encoding=BinaryTensors(), connections=(1, 64))


def text(repository: Path) -> Workload:
    """BYTES: 1,000 texts of 60 bytes a row, 64 KB with their lengths, and back."""
    model.build_same(repository, "text")
    letters = np.random.default_rng(29).integers(97, 123, size=(20, 1_000, 60), dtype=np.uint8)
    rows = np.array([[bytes(word) for word in row] for row in letters], dtype=object)
    return Workload("text", "text", 1, model.INPUT, rows, (), (model.OUTPUT,), BinaryTensors(), connections=(1, 64))


def copy(repository: Path, size: int) -> Workload:
    """So many bytes of floats there and back, by one caller."""
    model.build_same(repository, "same")
    rows = np.random.default_rng(31).normal(size=(2, size // 4)).astype(np.float32)
    made = Workload(f"copy-{_short(size)}", "same", 1, model.INPUT, rows, (rows,), (model.OUTPUT,), BinaryTensors())
    return replace(made, connections=(1,))


def _short(size: int) -> str:
    return f"{size >> 20}M" if size >= 1 << 20 else f"{size >> 10}K"


def _workload(name: str, path: Path, rows: Array) -> Workload:
    session = session_of(path)
    input_name = session.get_inputs()[0].name
    # Row by row: a model's answer to one row is what every contender is held to, batched or not.
    answers: list[Sequence[NDArray[np.generic]]] = [session.run(None, {input_name: row[None]}) for row in rows]
    expected = tuple(np.concatenate(column) for column in zip(*answers, strict=True))
    names = tuple(output.name for output in session.get_outputs())
    version = int(path.parent.name)
    return Workload(name, path.parent.parent.name, version, input_name, rows, expected, names)


def session_of(path: Path) -> onnxruntime.InferenceSession:
    """One thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


COPIES = (1 << 10, 1 << 14, 1 << 18, 1 << 20, 1 << 22, 1 << 24)
WORKLOADS: dict[str, Callable[[Path], Workload | None]] = {
    "mlp": mlp,
    "gbdt": gbdt,
    "flights": flights,
    "entities": entities,
    "binary": binary,
    "grpc": grpc,
    "frames": frames,
    "text": text,
    **{f"copy-{_short(size)}": partial(copy, size=size) for size in COPIES},
}
