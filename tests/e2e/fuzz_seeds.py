"""Right requests of many kinds to models of the zoo, for a fuzzing loop to start from."""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

from serving.protocol.open_inference import ModelInferRequest

# Of these models no value is outside what they compute, so any 5xx is a defect.
_TENSORS: tuple[tuple[str, str, str, list[int], list[object]], ...] = (
    ("doubler", "x", "FP32", [2, 4], [1.0, 2.0, 3.0, 4.0, -5.5, 6.25, 7e9, 8.0]),
    ("echo-int64", "x", "INT64", [1, 2], [-(2**63), 2**63 - 1]),
    ("echo-uint8", "x", "UINT8", [3, 2], [0, 1, 2, 253, 254, 255]),
    ("echo-bool", "x", "BOOL", [1, 2], [True, False]),
    ("echo-double", "x", "FP64", [1, 2], [1e300, -2.5]),
    ("echo-strings", "x", "BYTES", [1, 2], ["Ünïcode", "a\0b"]),
    ("open-length", "x", "FP32", [1, 7], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
)
_CODES = {"FP32": "f", "INT64": "q", "UINT8": "B", "BOOL": "?", "FP64": "d"}
_FIELDS = {"FP32": "fp32", "INT64": "int64", "UINT8": "uint", "BOOL": "bool", "FP64": "fp64", "BYTES": "bytes"}


class Seed(NamedTuple):
    """A path and a body that is answered there; `json_size` is the length of its JSON part, 0 for JSON alone."""

    path: str
    json_size: int
    body: bytes


def _raw(datatype: str, values: list[object]) -> bytes:
    if datatype == "BYTES":
        texts = [str(value).encode() for value in values]
        return b"".join([struct.pack("<I", len(text)) + text for text in texts])
    return struct.pack(f"<{len(values)}{_CODES[datatype]}", *values)


def _infer_json(name: str, datatype: str, shape: list[int], values: list[object], **more: object) -> bytes:
    one = {"name": name, "shape": shape, "datatype": datatype, "data": values}
    return json.dumps({"inputs": [one], **more}).encode()


def json_bodies() -> list[Seed]:
    """Bodies that are nothing but JSON."""
    bodies = []
    for model, name, datatype, shape, values in _TENSORS:
        path = f"/v2/models/{model}/infer"
        bodies.append(Seed(path, 0, _infer_json(name, datatype, shape, values)))
        asked = [{"name": "y", "parameters": {"binary_data": True}}]
        bodies.append(Seed(path, 0, _infer_json(name, datatype, shape, values, id="7", outputs=asked)))
        row = values[: len(values) // shape[0]]
        instances = json.dumps({"instances": [{name: row}, {name: row}]}).encode()
        bodies.append(Seed(f"/v1/models/{model}:predict", 0, instances))
    return bodies


def binary_bodies() -> list[Seed]:
    """Bodies with tensors in binary."""
    bodies = []
    for model, name, datatype, shape, values in _TENSORS:
        data = _raw(datatype, values)
        parameters = {"binary_data_size": len(data)}
        one = {"name": name, "shape": shape, "datatype": datatype, "parameters": parameters}
        head = json.dumps({"inputs": [one], "parameters": {"binary_data_output": True}}).encode()
        bodies.append(Seed(f"/v2/models/{model}/infer", len(head), head + data))
    return bodies


def grpc_messages() -> list[bytes]:
    """ModelInferRequests with raw and with typed contents."""
    messages = []
    for model, name, datatype, shape, values in _TENSORS:
        raw = ModelInferRequest(model_name=model, id="7")
        raw.inputs.add(name=name, datatype=datatype, shape=shape)
        raw.raw_input_contents.append(_raw(datatype, values))
        raw.parameters["odd"].string_param = "value"
        typed = ModelInferRequest(model_name=model)
        contents = typed.inputs.add(name=name, datatype=datatype, shape=shape).contents
        given = [str(value).encode() for value in values] if datatype == "BYTES" else values
        getattr(contents, f"{_FIELDS[datatype]}_contents").extend(given)
        messages += [raw.SerializeToString(), typed.SerializeToString()]
    return messages
