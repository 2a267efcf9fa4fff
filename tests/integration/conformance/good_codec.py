"""Infer requests to tensors and back, as the protocol and its binary extension have it; strict, slow and short."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.conformance.datatypes import DATATYPES, Array, from_bytes, from_json, to_bytes, to_json
from serving.conformance.infer_message import flat
from serving.conformance.known_models import KnownModel
from serving.conformance.onnx_file import Spec
from serving.conformance.tensors import Tensor, product
from tests.integration.conformance.http_layer import Reply

LENGTH = "inference-header-content-length"


class Wrong(Exception):
    """The caller's mistake."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    inputs: dict[str, Tensor]
    identity: str = ""
    outputs: tuple[tuple[str, bool], ...] = ()


def tensors_of(model: KnownModel, body: bytes, headers: dict[str, str]) -> Asked:
    length = headers.get(LENGTH)
    if length == "0":
        return _raw(model, body)
    if length is not None and (not length.isdigit() or int(length) > len(body)):
        raise Wrong(f"a header length of {length}")
    size = len(body) if length is None else int(length)
    document, rest = _object(body[:size]), body[size:]
    entries = document.get("inputs")
    if not isinstance(entries, list) or not entries:
        raise Wrong("inputs must be an array")
    inputs: dict[str, Tensor] = {}
    for entry in entries:
        tensor, rest = _tensor(model, entry, rest)
        if tensor.name in inputs:
            raise Wrong(f"{tensor.name} is given twice")
        inputs[tensor.name] = tensor
    if rest:
        raise Wrong("bytes are left over")
    if missing := {spec.name for spec in model.graph.inputs} - set(inputs) - model.optional:
        raise Wrong(f"{missing} are missing")
    identity = document.get("id", "")
    if not isinstance(identity, str):
        raise Wrong("id must be a string")
    return Asked(inputs, identity, _outputs(model, document))


def answer_of(model: KnownModel, asked: Asked, outputs: dict[str, Tensor]) -> Reply:
    entries, data = [], []
    for name, binary in asked.outputs:
        tensor = outputs[name]
        if binary:
            content = to_bytes(tensor.values)
            entries.append({**tensor.head(), "parameters": {"binary_data_size": len(content)}})
            data.append(content)
        else:
            entries.append({**tensor.head(), "data": _in_json(tensor)})
    document = {"model_name": model.name, "model_version": "1", "id": asked.identity, "outputs": entries}
    header = json.dumps(document).encode()
    if not any(binary for _, binary in asked.outputs):
        return Reply(200, header, {"content-type": "application/json"})
    headers = {"content-type": "application/octet-stream", LENGTH: str(len(header))}
    return Reply(200, b"".join((header, *data)), headers)


def _raw(model: KnownModel, body: bytes) -> Asked:
    (spec,) = model.graph.inputs
    shape = tuple(1 if size < 0 else size for size in spec.shape)
    values = DATATYPES["BYTES"].array([body]) if spec.datatype == "BYTES" else _decoded(spec.datatype, body)
    if len(values) != product(shape):
        raise Wrong("the body is no whole tensor")
    names = tuple((one.name, True) for one in model.graph.outputs)
    return Asked({spec.name: Tensor(spec.name, spec.datatype, shape, values)}, "", names)


def _object(text: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        document = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"no JSON: {error}") from error
    if not isinstance(document, dict):
        raise Wrong("the body must be an object")
    return document


def _tensor(model: KnownModel, entry: Any, rest: bytes) -> tuple[Tensor, bytes]:
    if not isinstance(entry, dict) or not {"name", "shape", "datatype"} <= set(entry):
        raise Wrong("an input has name, shape and datatype")
    spec = next((one for one in model.graph.inputs if one.name == entry["name"]), None)
    if spec is None:
        raise Wrong(f"no input {entry['name']}")
    if entry["datatype"] != spec.datatype:
        raise Wrong(f"{spec.name} is {spec.datatype}")
    shape = _shape(spec, entry["shape"])
    size = (entry.get("parameters") or {}).get("binary_data_size")
    if (size is None) is ("data" not in entry):
        raise Wrong("an input has data or a binary_data_size, one of them")
    if size is None:
        values = _from_json(spec, entry["data"], shape)
    else:
        if size > len(rest):
            raise Wrong("bytes are missing")
        values, rest = _decoded(spec.datatype, rest[:size]), rest[size:]
    if len(values) != product(shape):
        raise Wrong(f"{shape} has other than {len(values)} elements")
    return Tensor(spec.name, spec.datatype, shape, values), rest


def _shape(spec: Spec, shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise Wrong("a shape is sizes")
    if len(shape) != len(spec.shape) or any(w not in (-1, g) for w, g in zip(spec.shape, shape, strict=True)):
        raise Wrong(f"{spec.name} has the shape {spec.shape}")
    return tuple(shape)


def _from_json(spec: Spec, data: Any, shape: tuple[int, ...]) -> Array:
    datatype = DATATYPES[spec.datatype]
    if not datatype.in_json:
        raise Wrong(f"{spec.datatype} goes as binary data")
    if isinstance(data, list) and any(isinstance(part, list) for part in data) and np.shape(_sized(data)) != shape:
        raise Wrong("the nesting is not the shape's")
    try:
        return from_json(datatype, flat(data))
    except (ValueError, OverflowError) as error:
        raise Wrong(str(error)) from error


def _sized(data: Any) -> list[Any]:
    try:
        return np.zeros_like(np.array(data, dtype=object), dtype=bool).tolist()  # type: ignore[no-any-return]
    except ValueError as error:
        raise Wrong("rows differ in length") from error


def _decoded(datatype: str, data: bytes) -> Array:
    try:
        return from_bytes(DATATYPES[datatype], data)
    except ValueError as error:
        raise Wrong(str(error)) from error


def _outputs(model: KnownModel, document: dict[str, Any]) -> tuple[tuple[str, bool], ...]:
    parameters = document.get("parameters") or {}
    for name in ("priority", "timeout"):
        if not (type(parameters.get(name, 0)) is int and parameters.get(name, 0) >= 0):
            raise Wrong(f"{name} must be a number")
    everywhere = bool(parameters.get("binary_data_output", False))
    known = [spec.name for spec in model.graph.outputs]
    wanted = document.get("outputs")
    if wanted is None:
        return tuple((name, everywhere) for name in known)
    if not isinstance(wanted, list) or not all(isinstance(one, dict) and one.get("name") in known for one in wanted):
        raise Wrong("outputs must be an array of objects with names of outputs")
    return tuple((one["name"], (one.get("parameters") or {}).get("binary_data", everywhere)) for one in wanted)


def _in_json(tensor: Tensor) -> list[Any]:
    try:
        values = to_json(tensor.values)
        json.dumps(values, allow_nan=False)
    except ValueError as error:
        raise Wrong(f"{tensor.name} cannot go as JSON: {error}") from error
    if not DATATYPES[tensor.datatype].in_json:
        raise Wrong(f"{tensor.datatype} goes as binary data")
    return values
