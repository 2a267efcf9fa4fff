"""Values to bytes: what is packed, and what is refused by name."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.typed_elements import pack, shown
from serving.errors import BadRequest

INTEGERS = {
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
}


def bounds(datatype: str) -> tuple[int, int]:
    bits = int(datatype.lstrip("UINT"))
    return (0, 2**bits - 1) if datatype.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@given(st.sampled_from(sorted(INTEGERS)), st.data())
def test_integers_within_their_range_survive(datatype: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(*bounds(datatype)), max_size=20))
    packed = pack("x", datatype, values, False)
    assert list(struct.unpack(f"<{len(values)}{INTEGERS[datatype]}", packed)) == values


@pytest.mark.parametrize("datatype", sorted(INTEGERS))
def test_integers_out_of_range_are_refused_with_the_range(datatype: str) -> None:
    low, high = bounds(datatype)
    for value in (low - 1, high + 1):
        with pytest.raises(BadRequest, match=rf"value 1 must be an integer from {low} to {high} \({datatype}\)"):
            pack("x", datatype, [0, value], False)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_doubles_survive(values: list[float]) -> None:
    assert list(struct.unpack(f"<{len(values)}d", pack("x", "FP64", values, False))) == values


def test_more_values_than_one_call_takes_are_packed_in_pieces() -> None:
    values = [float(number) for number in range(10_001)]
    assert pack("x", "FP32", values, False) == struct.pack("<10001f", *values)


def test_a_misfit_far_inside_a_large_tensor_is_named() -> None:
    with pytest.raises(BadRequest, match="value 9000 must be a number"):
        pack("x", "FP32", [*([1.0] * 9000), "1", *([1.0] * 10)], False)


@pytest.mark.parametrize(
    ("datatype", "value", "message"),
    [
        ("FP32", "1", r"value 0 must be a number \(FP32\), got '1'"),
        ("FP32", None, "must be a number .*got null"),
        ("FP32", True, "must be a number .*got true"),
        ("FP32", {}, "got an object"),
        ("FP32", 1e39, "must be a number that FP32 can hold"),
        ("FP32", 10**400, "must be a number that FP32 can hold"),
        ("FP64", False, "got false"),
        ("INT64", 1.5, "must be an integer"),
        ("INT64", True, "got true"),
        ("INT64", 1e30, "must be an integer"),
        ("BOOL", 1, "must be true or false, got 1"),
        ("BOOL", None, "must be true or false, got null"),
        ("BYTES", 1, "must be a string, got 1"),
        ("FP16", 1.0, "FP16 has no form in JSON"),
        ("BF16", 1.0, "BF16 has no form in JSON"),
        ("FLOAT", 1.0, "unknown datatype 'FLOAT'; known are FP32"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(datatype: str, value: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=f"input 'x': .*{message}|input 'x': {message}"):
        pack("x", datatype, [value], isinstance(value, bool))


def test_booleans_are_one_byte_each() -> None:
    assert pack("x", "BOOL", [True, False, True], True) == b"\1\0\1"


def test_strings_get_their_length_in_utf8_bytes_in_front() -> None:
    assert pack("x", "BYTES", ["a", "", "ü"], False) == b"\1\0\0\0a\0\0\0\0\2\0\0\0\xc3\xbc"


def test_what_a_message_shows_of_a_value_is_short() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    assert shown(deep) == "an array"
    assert len(shown("x" * 10_000)) < 60
    assert len(shown(10**4000)) < 60
