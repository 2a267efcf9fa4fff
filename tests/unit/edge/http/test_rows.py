"""Output tensors as JSON rows: the same values as rendering each row alone."""

from __future__ import annotations

import struct

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.http.rows import flat_rows, nested_rows
from serving.inference import Tensor

INTEGERS = {"BOOL": "?", "UINT8": "<u1", "INT32": "<i4", "INT64": "<i8", "UINT64": "<u8"}
DTYPES = {**INTEGERS, "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


@given(st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(0, 2**32))
def test_a_row_of_a_batch_reads_as_if_rendered_alone(datatype: str, shape: list[int], seed: int) -> None:
    numbers = np.random.default_rng(seed)
    array = (numbers.normal(size=shape) * 100).astype(DTYPES[datatype])
    tensor = Tensor("y", datatype, tuple(shape), array.tobytes())
    flat, nested = flat_rows(tensor), nested_rows(tensor)
    assert not flat.bad
    assert not nested.bad
    assert [orjson.loads(b"[" + text + b"]") for text in flat.texts] == [row.ravel().tolist() for row in rounded(array)]
    assert [orjson.loads(text) for text in nested.texts] == [row.tolist() for row in rounded(array)]


def rounded(array: Array) -> Array:
    """Narrow floats as the shortest digits of a float32 read."""
    if array.dtype in (np.float16, np.float32):
        digits = [float(str(np.float32(value))) for value in array.ravel()]
        return np.array(digits, dtype=np.float64).reshape(array.shape)
    return array


def test_float32_is_printed_with_the_digits_of_float32() -> None:
    assert flat_rows(Tensor("y", "FP32", (1, 2), struct.pack("<2f", 0.1, 1 / 3))).texts == [b"0.1,0.33333334"]


def test_bfloat16_is_printed_as_the_float32_it_is_a_half_of() -> None:
    halves = struct.pack("<f", 1.5)[2:] + struct.pack("<f", -2.0)[2:]
    assert flat_rows(Tensor("y", "BF16", (2, 1), halves)).texts == [b"1.5", b"-2.0"]


def test_strings_that_look_like_json_stay_strings() -> None:
    texts = ["],[", '"', "null", "ü"]
    data = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)
    flat = flat_rows(Tensor("y", "BYTES", (2, 2), data))
    assert [orjson.loads(b"[" + text + b"]") for text in flat.texts] == [["],[", '"'], ["null", "ü"]]
    nested = nested_rows(Tensor("y", "BYTES", (1, 2, 2), data))
    assert [orjson.loads(text) for text in nested.texts] == [[["],[", '"'], ["null", "ü"]]]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_only_the_rows_that_json_cannot_express_are_bad(value: float) -> None:
    tensor = Tensor("y", "FP32", (3, 2), struct.pack("<6f", 1, 2, 3, value, 5, 6))
    assert flat_rows(tensor).bad == {1}
    assert nested_rows(tensor).bad == {1}


def test_bytes_that_are_no_text_spoil_only_their_row() -> None:
    tensor = Tensor("y", "BYTES", (2,), b"\1\0\0\0a\1\0\0\0\xff")
    assert flat_rows(tensor).bad == {1}
    assert flat_rows(tensor).texts[0] == b'"a"'
