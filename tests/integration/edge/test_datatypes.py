"""Tensors of every datatype that a model can have, from bytes on a connection through onnxruntime and back."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import orjson
import pytest

from serving.edge.http.limits import HttpLimits
from serving.errors import ServingError
from serving.inference import Answer, Request, VersionKey
from serving.request_path.intake import Intake
from serving.runtime.loaded_model import LoadedModel
from serving.runtime.source import ModelSource
from serving.runtime.tensor_arrays import DTYPES
from serving.testing.models import echo, save, scalar, several
from serving.testing.predictions import FakePredictions, answer_of
from tests.unit.edge.http.binary import body_of, outputs_of, request, tensor
from tests.unit.edge.http.wire import Wire, post

KINDS = {
    "BOOL": onnx.TensorProto.BOOL,
    "UINT8": onnx.TensorProto.UINT8,
    "UINT16": onnx.TensorProto.UINT16,
    "UINT32": onnx.TensorProto.UINT32,
    "UINT64": onnx.TensorProto.UINT64,
    "INT8": onnx.TensorProto.INT8,
    "INT16": onnx.TensorProto.INT16,
    "INT32": onnx.TensorProto.INT32,
    "INT64": onnx.TensorProto.INT64,
    "FP16": onnx.TensorProto.FLOAT16,
    "BF16": onnx.TensorProto.BFLOAT16,
    "FP32": onnx.TensorProto.FLOAT,
    "FP64": onnx.TensorProto.DOUBLE,
    "BYTES": onnx.TensorProto.STRING,
}
BINARY: Any = {"parameters": {"binary_data_output": True}}


def served(folder: Path, proto: onnx.ModelProto) -> Wire:
    """A connection to a model that runs at once."""
    path = save(folder, "mlp", 3, proto)
    model = LoadedModel.open(ModelSource(VersionKey("mlp", 3), path))
    intake = Intake(model.hosted)

    def run(asked: Request) -> Answer | ServingError:
        try:
            intake.check(asked)
            batchable = model.hosted.batchable
            return answer_of(asked, model.run(asked.inputs, asked.rows if batchable else 0), whole=not batchable)
        except ServingError as error:
            return error

    return Wire(limits=HttpLimits(), predictions=FakePredictions(model.hosted.signature, reply=run))


def values_of(datatype: str) -> tuple[bytes, list[Any] | None]:
    """Four elements at the edges of a datatype, as bytes and as JSON (None where it has no form there)."""
    if datatype == "BYTES":
        texts = ["", "\0", "ü€😀", 'a"b\\']
        return b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts), texts
    if datatype == "BF16":
        # The largest, infinity, the smallest, -0.0.
        return struct.pack("<4H", 0x7F7F, 0x7F80, 0x0080, 0x8000), None
    if datatype == "BOOL":
        return b"\0\1\1\0", [False, True, True, False]
    dtype: np.dtype[Any] = DTYPES[datatype]
    if dtype.kind == "f":
        facts = np.finfo(dtype)
        array = np.array([facts.max, facts.min, facts.tiny, -0.0], dtype)
        return array.tobytes(), None if datatype == "FP16" else [float(value) for value in array]
    limits = np.iinfo(dtype)
    array = np.array([limits.min, limits.max, 0, 1], dtype)
    return array.tobytes(), array.tolist()


def same(datatype: str, got: list[Any], values: list[Any]) -> bool:
    """Whether JSON stands for the same elements: FP32 has its own shortest digits."""
    if datatype == "FP32":
        return struct.pack("<4f", *got) == struct.pack("<4f", *values)
    return got == values


def test_every_datatype_of_the_runtime_is_tried() -> None:
    assert set(KINDS) == set(DTYPES)


@pytest.mark.parametrize("datatype", KINDS)
def test_what_goes_in_comes_out(tmp_path: Path, datatype: str) -> None:
    wire = served(tmp_path, echo(KINDS[datatype]))
    data, values = values_of(datatype)
    binary = tensor("x", datatype, [2, 2], len(data))
    assert outputs_of(wire.ask(request(*body_of([binary], data, **BINARY)))) == {"y": data}
    in_json = wire.ask(request(*body_of([binary], data)))
    given = post(
        orjson.dumps({"inputs": [{"name": "x", "shape": [2, 2], "datatype": datatype, "data": values or [0] * 4}]})
    )
    if values is None:
        for refused in (in_json, wire.ask(given)):
            assert refused.status == 400
            assert "binary" in refused.error
        return
    for answer in (in_json, wire.ask(given)):
        assert same(datatype, outputs_of(answer)["y"], values)


def test_nan_and_infinity_travel_in_binary(tmp_path: Path) -> None:
    wire = served(tmp_path, echo(onnx.TensorProto.FLOAT))
    data = struct.pack("<2f", float("nan"), float("-inf"))
    binary = tensor("x", "FP32", [1, 2], 8)
    assert outputs_of(wire.ask(request(*body_of([binary], data, **BINARY)))) == {"y": data}
    assert "binary_data_output" in wire.ask(request(*body_of([binary], data))).error


def test_a_scalar_has_no_dimensions_either_way(tmp_path: Path) -> None:
    wire = served(tmp_path, scalar())
    one, two = struct.pack("<f", 1), struct.pack("<f", 2)
    assert outputs_of(wire.ask(request(*body_of([tensor("x", "FP32", [], 4)], one, **BINARY)))) == {"y": two}
    assert outputs_of(wire.ask(request(one, 0))) == {"y": two}
    assert outputs_of(wire.ask(request(*body_of([tensor("x", "FP32", [], 4)], one)))) == {"y": [2.0]}


def test_rows_without_values_come_back_without_values(tmp_path: Path) -> None:
    wire = served(tmp_path, echo(onnx.TensorProto.FLOAT, width="m"))
    empty = tensor("x", "FP32", [2, 0], 0)
    assert outputs_of(wire.ask(request(*body_of([empty], **BINARY)))) == {"y": b""}
    assert outputs_of(wire.ask(request(*body_of([empty])))) == {"y": []}


def test_several_inputs_and_outputs_some_in_json(tmp_path: Path) -> None:
    wire = served(tmp_path, several())
    inputs = [
        tensor("i", "INT32", [1], 4),
        {"name": "b", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3]},
        tensor("keep", "BOOL", [1], 1),
        tensor("a", "FP32", [1, 2], 8),
    ]
    outputs = [{"name": "next"}, {"name": "kept", "parameters": {"binary_data": True}}]
    elements = (struct.pack("<i", 6), b"\1", struct.pack("<2f", 4, 5))
    assert outputs_of(wire.ask(request(*body_of(inputs, *elements, outputs=outputs)))) == {"next": [7], "kept": b"\0"}
