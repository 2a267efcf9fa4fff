"""Feast's values as numbers, read without protobuf: `feast.types.Value` with one field, and timestamps.

`Value` is a oneof of int32 (3), int64 (4), double (5), float (6), bool (7), a timestamp in whole seconds as int64 (8)
and much that is no number; a null is the empty message, or field 19. Feast writes one field and nothing else, so that
anything more is taken for nothing rather than guessed at. Source: `protos/feast/types/Value.proto` of 0.67; the
encoding is protobuf's (protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812 - the module calls it just `error`
from typing import cast

# Tags: the field's number and how it is encoded.
INT32, INT64, DOUBLE, FLOAT, BOOL, UNIX_TIMESTAMP = 0x18, 0x20, 0x29, 0x35, 0x38, 0x40
NULL = b"\x98\x01\x00"

_INT32_LIMIT = 1 << 31
_LONGEST_VARINT = 10
_MORE = 0x80
# The tag is skipped, and any other number of bytes is an error.
_DOUBLE, _FLOAT = Struct("<xd").unpack, Struct("<xf").unpack
_FLOAT32 = Struct("<f").pack
_NANOS = 1_000_000_000
# The years 1 to 9999, as protobuf allows them.
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799
_SECONDS, _NANO_TAG = 0x08, 0x10

Read = Callable[[bytes], float]


class Unreadable(Exception):
    """Bytes that are no value of the wanted kind."""


def number(data: bytes, reads: Mapping[int, Read]) -> float | None:
    """The value as a feature whose dtype has these `READS`; None for a null.

    Raises:
        Unreadable: no number, another type than the dtype takes, or too large for it.
    """
    if not data or data == NULL:
        return None
    read = reads.get(data[0])
    if read is None:
        raise Unreadable
    try:
        return read(data)
    except StructError:
        raise Unreadable from None


@lru_cache(maxsize=4096)
def event_time_ms(data: bytes | None) -> int:
    """A `google.protobuf.Timestamp` in milliseconds since 1970; 0 for what is none."""
    if not data:
        return 0
    fields = {}
    at = 0
    try:
        while at < len(data):
            tag = data[at]
            fields[tag], at = _varint(data, at + 1)
    except Unreadable:
        return 0
    seconds, nanos = _signed(fields.pop(_SECONDS, 0)), fields.pop(_NANO_TAG, 0)
    if fields or nanos >= _NANOS or not _FIRST_S <= seconds <= _LAST_S:
        return 0
    return seconds * 1000 + nanos // 1_000_000


def _double(data: bytes) -> float:
    return cast("float", _DOUBLE(data)[0])


def _float(data: bytes) -> float:
    return cast("float", _FLOAT(data)[0])


def _rounded(data: bytes) -> float:
    value = _double(data)
    try:
        _FLOAT32(value)
    except OverflowError:
        # To infinity, it would be another value.
        raise Unreadable from None
    return value


def _whole(data: bytes) -> int:
    bits, end = _varint(data, 1)
    if end != len(data):
        raise Unreadable
    return _signed(bits)


def _of_32_bits(data: bytes) -> int:
    value = _whole(data)
    if not -_INT32_LIMIT <= value < _INT32_LIMIT:
        raise Unreadable
    return value


def _truth(data: bytes) -> int:
    value = _whole(data)
    if value not in (0, 1):
        raise Unreadable
    return value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    bits = shift = 0
    for byte in data[at : at + _LONGEST_VARINT]:
        at += 1
        if byte < _MORE:
            bits |= byte << shift
            if bits >> 64:
                break
            return bits, at
        bits |= (byte & 0x7F) << shift
        shift += 7
    raise Unreadable


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits


# What a feature takes, by tag: numbers that are the same in it, and doubles and whole numbers rounded to floats.
READS: Mapping[str, Mapping[int, Read]] = {
    "float32": {FLOAT: _float, DOUBLE: _rounded, INT32: _of_32_bits, INT64: _whole},
    "float64": {DOUBLE: _double, FLOAT: _float, INT32: _of_32_bits, INT64: _whole, UNIX_TIMESTAMP: _whole},
    "int32": {INT32: _of_32_bits, INT64: _of_32_bits},
    "int64": {INT64: _whole, INT32: _of_32_bits, UNIX_TIMESTAMP: _whole},
    "bool": {BOOL: _truth},
}
