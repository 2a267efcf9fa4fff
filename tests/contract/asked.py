"""A prediction as every edge can be asked for it, and what comes of it, in words that belong to no protocol."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto

DTYPES: Mapping[str, str] = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
KINDS: Mapping[str, int] = {
    "BOOL": TensorProto.BOOL,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A tensor; `data` is its elements, little-endian, BYTES elements behind their length (uint32)."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """`headers` are metadata over gRPC; `timeout_s` is a header over HTTP, and over gRPC the deadline of the call."""

    model: str
    inputs: Sequence[Piece]
    version: str = ""
    id: str = ""
    outputs: Sequence[str] | None = None
    parameters: Mapping[str, bool | int | str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An answer; `headers` are those over HTTP, and over gRPC all metadata of the call."""

    model: str
    version: str
    id: str
    outputs: tuple[Piece, ...]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refused:
    """`code` is the name of gRPC's status, which stands for one status of HTTP."""

    code: str
    text: str
    headers: Mapping[str, str]


def piece(name: str, datatype: str, values: Any, shape: Sequence[int] | None = None) -> Piece:
    """A tensor of these values, in their own shape unless one is given."""
    if datatype == "BYTES":
        data, own = b"".join(map(prefixed, values)), (len(values),)
    else:
        array = np.array(values, DTYPES[datatype])
        data, own = array.tobytes(), array.shape
    return Piece(name, datatype, own if shape is None else tuple(shape), data)


def prefixed(element: bytes) -> bytes:
    """A BYTES element behind its length."""
    return struct.pack("<I", len(element)) + element


def elements_of(data: bytes) -> list[bytes]:
    """The BYTES elements of a tensor."""
    found, start = [], 0
    while start < len(data):
        stop = start + 4 + int.from_bytes(data[start : start + 4], "little")
        found.append(data[start + 4 : stop])
        start = stop
    return found


def values_of(given: Piece) -> list[Any]:
    """The values of a tensor as Python has them; those of a datatype that nobody knows are taken for FP32."""
    if given.datatype == "BYTES":
        return elements_of(given.data)
    if given.datatype == "BF16":
        # Each is the upper half of an FP32.
        halves = np.frombuffer(given.data, "<u2").astype("<u4") << 16
        return list(halves.view("<f4").tolist())
    return list(np.frombuffer(given.data, DTYPES.get(given.datatype, "<f4")).tolist())
