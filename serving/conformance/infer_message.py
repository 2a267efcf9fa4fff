"""Infer requests and answers in JSON and with binary tensors; what an answer says is taken with what it needs, no more.

A field that has a check of its own (`id`, `model_name`, ...) may be missing here: one broken promise fails one check.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from serving.conformance.check import Failed
from serving.conformance.datatypes import DATATYPES, from_bytes, from_json
from serving.conformance.exchange import Answer, shortened
from serving.conformance.tensors import Tensor, product

HEADER_LENGTH = "inference-header-content-length"
JSON_TYPE = {"content-type": "application/json"}
BINARY_TYPE = {"content-type": "application/octet-stream"}


def json_body(inputs: Sequence[Tensor], **fields: object) -> bytes:
    """A request with its data in JSON; `fields` are `id`, `outputs`, `parameters`."""
    return json.dumps({"inputs": [one.as_json() for one in inputs], **fields}).encode()


def binary_body(inputs: Sequence[Tensor], **fields: object) -> tuple[bytes, Mapping[str, str]]:
    """A request with its data behind the JSON, and the headers that go with it."""
    heads, data = [], []
    for one in inputs:
        head, content = one.as_binary()
        heads.append(head)
        data.append(content)
    header = json.dumps({"inputs": heads, **fields}).encode()
    return b"".join((header, *data)), {**BINARY_TYPE, HEADER_LENGTH: str(len(header))}


def outputs_of(answer: Answer) -> dict[str, Tensor]:
    """The tensors of an answer that must be a 200, in its order.

    Raises:
        Failed: it is an error, or no tensors can be read from it.
    """
    if answer.status != 200:  # noqa: PLR2004 - OK
        raise Failed(f"answered {answer.status}: {shortened(answer.body)}")
    document, rest = parted(answer)
    entries = document.get("outputs")
    if not isinstance(entries, list):
        raise Failed(f"`outputs` must be an array, got {entries!r:.100}")
    found: dict[str, Tensor] = {}
    for entry in entries:
        tensor, rest = _tensor(entry, rest)
        found[tensor.name] = tensor
    if rest:
        raise Failed(f"{len(rest)} bytes are left over behind the outputs")
    return found


def parted(answer: Answer) -> tuple[dict[str, Any], bytes]:
    """The JSON object of an answer and the binary data behind it.

    Raises:
        Failed: they cannot be told apart, or the first is no object.
    """
    length = answer.header(HEADER_LENGTH)
    if length is None:
        return answer.object(), b""
    if not length.isdigit() or int(length) > len(answer.body):
        raise Failed(f"Inference-Header-Content-Length is {length!r}, the body has {len(answer.body)} bytes")
    size = int(length)
    return Answer(answer.status, answer.headers, answer.body[:size]).object(), answer.body[size:]


def is_binary(document: Mapping[str, Any], name: str) -> bool:
    """An output came as binary data.

    Raises:
        Failed: the answer has no such output.
    """
    for entry in document.get("outputs", []):
        if isinstance(entry, dict) and entry.get("name") == name:
            return "binary_data_size" in (entry.get("parameters") or {})
    raise Failed(f"the answer has no output {name!r}")


def flat(data: object) -> list[Any]:
    """Nested or flat JSON data as a flat list."""
    if not isinstance(data, list):
        return [data]
    return [value for part in data for value in (flat(part) if isinstance(part, list) else [part])]


def _tensor(entry: object, rest: bytes) -> tuple[Tensor, bytes]:
    if not isinstance(entry, dict):
        raise Failed(f"an output must be an object, got {entry!r:.100}")
    name, kind, shape = str(entry.get("name")), entry.get("datatype"), entry.get("shape")
    datatype = DATATYPES.get(str(kind))
    if datatype is None:
        raise Failed(f"output {name!r} has no datatype of the protocol: {kind!r}")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise Failed(f"output {name!r}: `shape` must be an array of integers, got {shape!r:.100}")
    size = (entry.get("parameters") or {}).get("binary_data_size")
    try:
        if size is not None:
            values, rest = from_bytes(datatype, rest[:size]), rest[size:]
        else:
            values = from_json(datatype, flat(entry.get("data", [])))
    except (ValueError, TypeError, OverflowError) as error:
        raise Failed(f"output {name!r} cannot be read: {error}") from error
    if len(values) != product(shape):
        raise Failed(f"output {name!r} of shape {shape} has {len(values)} elements")
    return Tensor(name, datatype.name, tuple(shape), values), rest
