"""Feast's values, byte by byte."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.features.feast import value as feast_value
from serving.features.feast.value import READS, Unreadable, event_time_ms

DOUBLE, FLOAT = "29", "35"


def number(data: bytes, dtype: str) -> float | None:
    return feast_value.number(data, READS[dtype])


def double(value: float) -> bytes:
    return bytes.fromhex(DOUBLE) + struct.pack("<d", value)


def whole(tag: int, value: int) -> bytes:
    bits, data = value % (1 << 64), bytearray([tag])
    while bits > 0x7F:
        data.append(bits & 0x7F | 0x80)
        bits >>= 7
    return bytes([*data, bits])


@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_of_64_bits_come_through_exactly(value: int) -> None:
    assert number(whole(0x20, value), "int64") == value
    assert number(whole(0x40, value), "int64") == value, "a time in seconds"
    assert number(whole(0x20, value), "float64") == value


@given(st.floats(allow_nan=False))
def test_doubles_come_through_exactly(value: float) -> None:
    assert number(double(value), "float64") == value


@pytest.mark.parametrize(
    ("data", "dtype", "value"),
    [
        ("1807", "int32", 7),
        ("1807", "int64", 7),
        ("1807", "float32", 7),
        ("2007", "int32", 7),
        ("18ffffffffffffffffff01", "int32", -1),
        ("350000c03f", "float32", 1.5),
        ("350000c03f", "float64", 1.5),
        ("29000000000000f83f", "float32", 1.5),
        ("29000000000000f07f", "float32", math.inf),
        ("3801", "bool", 1),
        ("3800", "bool", 0),
        ("4007", "float64", 7),
        ("", "int64", None),
        ("980100", "float32", None),
    ],
)
def test_a_feature_takes_what_is_the_same_number_in_it(data: str, dtype: str, value: float | None) -> None:
    assert number(bytes.fromhex(data), dtype) == value


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ("1807", "bool"),
        ("3801", "float32"),
        ("3801", "int32"),
        ("3802", "bool"),
        ("350000c03f", "int64"),
        ("29000000000000f83f", "int32"),
        ("4007", "float32"),
        ("4007", "int32"),
        ("20808080808001", "int32"),
        ("188080808008", "int32"),
        ("29000000000000f87e", "float32"),
        ("120161", "float32"),
        ("0a0161", "int64"),
        ("82010a", "float32"),
        ("1807" + "1808", "int32"),
        ("350000c0", "float32"),
        ("350000c03f00", "float32"),
        ("20", "int64"),
        ("2080", "int64"),
        ("20ffffffffffffffffff02", "int64"),
        ("20ffffffffffffffffffff01", "int64"),
        ("98010000", "int64"),
    ],
)
def test_anything_else_is_unreadable(data: str, dtype: str) -> None:
    with pytest.raises(Unreadable):
        number(bytes.fromhex(data), dtype)


@given(st.binary(max_size=24), st.sampled_from(sorted(READS)))
def test_any_bytes_are_a_number_of_the_dtype_or_nothing(data: bytes, dtype: str) -> None:
    try:
        value = number(data, dtype)
    except Unreadable:
        return
    if value is not None:
        struct.pack("<" + {"float32": "f", "float64": "d", "int32": "i", "int64": "q", "bool": "?"}[dtype], value)


@pytest.mark.parametrize(
    ("data", "milliseconds"),
    [
        ("08cbf29ed80610c0a9d33a", 1_795_668_299_123),
        ("0807", 7_000),
        ("10c0843d", 1),
        ("08ffffffffffffffffff01", -1_000),
        ("", 0),
        ("08", 0),
        ("0a0161", 0),
        ("0807" + "1a00", 0),
        ("08ffffffffffffffff7f", 0),
        ("0807" + "108094ebdc03", 0),
    ],
)
def test_a_time_is_read_to_the_millisecond_and_what_is_none_is_1970(data: str, milliseconds: int) -> None:
    assert event_time_ms(bytes.fromhex(data)) == milliseconds


@given(st.binary(max_size=24))
def test_any_bytes_are_a_time_of_known_years(data: bytes) -> None:
    assert abs(event_time_ms(data)) < 1 << 58
