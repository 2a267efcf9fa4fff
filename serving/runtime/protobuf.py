"""Just enough of protobuf's wire format to look into an ONNX file without reading its weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

Bytes = bytes | memoryview

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


class Field(NamedTuple):
    """`number` is 0 for a varint's neighbour fields too: fixed-size values are skipped, their `value` is 0.

    `start` and `stop` bound the payload of a length-delimited field within the buffer that was walked.
    """

    number: int
    wire: int
    value: int
    start: int
    stop: int

    @property
    def delimited(self) -> bool:
        """It holds text, bytes or a message."""
        return self.wire == _LENGTH


class Malformed(ValueError):
    """The bytes are not a protobuf message."""


class Truncated(Malformed):
    """A field reaches beyond the end."""


def fields(data: Bytes, start: int, stop: int) -> Iterator[Field]:
    """The fields of the message at `start` to `stop`, in file order; nested messages are not entered.

    Source: protobuf.dev/programming-guides/encoding.
    """
    position = start
    while position < stop:
        tag, position = _varint(data, position, stop)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise Malformed(f"field number 0 at byte {position}")
        value = 0
        begin = position
        if wire == _VARINT:
            value, position = _varint(data, position, stop)
        elif wire == _LENGTH:
            length, begin = _varint(data, position, stop)
            position = begin + length
        elif wire in (_FIXED32, _FIXED64):
            position += 4 if wire == _FIXED32 else 8
        else:
            raise Malformed(f"wire type {wire} at byte {position}")
        if position > stop:
            raise Truncated(f"a field needs {position - stop} more bytes")
        yield Field(number, wire, value, begin, position)


def _varint(data: Bytes, position: int, stop: int) -> tuple[int, int]:
    value = 0
    for index in range(_LONGEST_VARINT):
        if position + index >= stop:
            raise Truncated("a number ends early")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit of the format
            return value, position + index + 1
    raise Malformed(f"a number of more than {_LONGEST_VARINT} bytes at byte {position}")
