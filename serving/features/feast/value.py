"""Feast's values as numbers, read without protobuf: `feast.types.Value` with one field, and timestamps.

`Value` is a oneof of int32 (3), int64 (4), double (5), float (6), bool (7), a timestamp in whole seconds as int64 (8)
and much that is no number; a null is the empty message, or field 19. Feast writes one field and nothing else, so that
anything more is taken for nothing rather than guessed at. Source: `protos/feast/types/Value.proto` of 0.67; the
encoding is protobuf's (protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct, unpack_from

# Tags: the field's number and how it is encoded.
INT32, INT64, DOUBLE, FLOAT, BOOL, UNIX_TIMESTAMP = 0x18, 0x20, 0x29, 0x35, 0x38, 0x40
NULL = b"\x98\x01\x00"

# What a feature of ours takes: numbers that are the same in it, and floats and whole numbers rounded where it is float.
TAKES: Mapping[str, frozenset[int]] = {
    "float32": frozenset((FLOAT, DOUBLE, INT32, INT64)),
    "float64": frozenset((FLOAT, DOUBLE, INT32, INT64, UNIX_TIMESTAMP)),
    "int32": frozenset((INT32, INT64)),
    "int64": frozenset((INT32, INT64, UNIX_TIMESTAMP)),
    "bool": frozenset((BOOL,)),
}
_LIMITS = {"int32": 1 << 31, "int64": 1 << 63}

_DOUBLE_BYTES, _FLOAT_BYTES = 9, 5
_LONGEST_VARINT = 10
_MORE = 0x80
_FLOAT32 = Struct("<f")
_NANOS = 1_000_000_000
# The years 1 to 9999, as protobuf allows them.
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799
_SECONDS, _NANO_TAG = 0x08, 0x10


class Unreadable(Exception):
    """Bytes that are no value of the wanted kind."""


def number(data: bytes, dtype: str) -> float | None:
    """The value as a feature of this dtype; None for a null.

    Raises:
        Unreadable: no number, another type than the dtype takes, or too large for it.
    """
    if not data or data == NULL:
        return None
    tag = data[0]
    if tag not in TAKES[dtype]:
        raise Unreadable
    if tag == DOUBLE:
        value = _fixed(data, _DOUBLE_BYTES, "<d")
    elif tag == FLOAT:
        value = _fixed(data, _FLOAT_BYTES, "<f")
    else:
        value = _whole(data, tag)
    return _within(value, dtype)


def event_time_ms(data: bytes | None) -> int:
    """A `google.protobuf.Timestamp` in milliseconds since 1970; 0 for what is none."""
    if not data:
        return 0
    fields = {}
    at = 0
    while at < len(data):
        tag = data[at]
        try:
            fields[tag], at = _varint(data, at + 1)
        except Unreadable:
            return 0
    seconds, nanos = _signed(fields.pop(_SECONDS, 0)), fields.pop(_NANO_TAG, 0)
    if fields or nanos >= _NANOS or not _FIRST_S <= seconds <= _LAST_S:
        return 0
    return seconds * 1000 + nanos // 1_000_000


def _fixed(data: bytes, size: int, form: str) -> float:
    if len(data) != size:
        raise Unreadable
    value: float = unpack_from(form, data, 1)[0]
    return value


def _whole(data: bytes, tag: int) -> int:
    bits, end = _varint(data, 1)
    if end != len(data):
        raise Unreadable
    value = _signed(bits)
    if (tag == INT32 and not -_LIMITS["int32"] <= value < _LIMITS["int32"]) or (tag == BOOL and value not in (0, 1)):
        raise Unreadable
    return value


def _within(value: float, dtype: str) -> float:
    limit = _LIMITS.get(dtype)
    if limit is not None and not -limit <= value < limit:
        raise Unreadable
    if dtype == "float32":
        try:
            _FLOAT32.pack(value)
        except OverflowError:
            # To infinity, it would be another value.
            raise Unreadable from None
    return value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    bits = 0
    for place in range(at, min(at + _LONGEST_VARINT, len(data))):
        byte = data[place]
        bits |= (byte & 0x7F) << (7 * (place - at))
        if byte < _MORE:
            if bits >> 64:
                break
            return bits, place + 1
    raise Unreadable


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits
