"""Writes ONNX files of a few nodes with nothing but protobuf's wire format: the suite needs no library for it.

Source of field numbers: onnx/onnx.proto of ONNX; of the encoding: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

_VARINT, _LENGTH = 0, 2
_IR_VERSION, _OPSET = 8, 17
# TensorProto.DataType by the protocol's names.
ELEMENT = {
    "FP32": 1, "UINT8": 2, "INT8": 3, "UINT16": 4, "INT16": 5, "INT32": 6, "INT64": 7, "BYTES": 8, "BOOL": 9,
    "FP16": 10, "FP64": 11, "UINT32": 12, "UINT64": 13, "BF16": 16,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spec:
    """An input or output; -1 is a dimension of any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of ONNX's own, without attributes."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole model; a constant that is an input too is that input's default."""

    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, float] = field(default_factory=dict)


def onnx_bytes(graph: Graph) -> bytes:
    """The file's content."""
    parts = [_message(1, _node(one)) for one in graph.nodes]
    parts.append(_text(2, "conformance"))
    parts += [_message(5, _constant(name, value)) for name, value in graph.constants.items()]
    parts += [_message(11, _value(one)) for one in graph.inputs]
    parts += [_message(12, _value(one)) for one in graph.outputs]
    opset = _text(1, "") + _integer(2, _OPSET)
    return b"".join(
        (_integer(1, _IR_VERSION), _text(2, "sluice conformance"), _message(7, b"".join(parts)), _message(8, opset))
    )


def _node(node: Node) -> bytes:
    names = [_text(1, name) for name in node.inputs] + [_text(2, name) for name in node.outputs]
    return b"".join((*names, _text(4, node.operator)))


def _value(spec: Spec) -> bytes:
    # The first open dimension is named alike everywhere: it is the rows.
    dimensions = (_text(2, f"d{n}") if size < 0 else _integer(1, size) for n, size in enumerate(spec.shape))
    shape = b"".join(_message(1, one) for one in dimensions)
    tensor = _integer(1, ELEMENT[spec.datatype]) + _message(2, shape)
    return _text(1, spec.name) + _message(2, _message(1, tensor))


def _constant(name: str, value: float) -> bytes:
    return _integer(2, ELEMENT["FP32"]) + _text(8, name) + _message(9, np.float32(value).tobytes())


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode())


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
