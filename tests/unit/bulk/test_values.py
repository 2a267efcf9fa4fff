"""Cells become values of a datatype exactly, or reject their own row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bulk.values import DTYPES, lists, numbers, texts

WHOLE = [name for name in DTYPES if "INT" in name]


def _cells(datatype: str) -> st.SearchStrategy[Any]:
    limits = np.iinfo(DTYPES[datatype])
    return st.integers(int(limits.min), int(limits.max))


@given(data=st.data(), datatype=st.sampled_from(WHOLE), as_text=st.booleans())
def test_whole_numbers_arrive_as_they_are(data: st.DataObject, datatype: str, as_text: bool) -> None:
    cells = data.draw(st.lists(_cells(datatype), min_size=1))
    kind = pa.uint64() if datatype == "UINT64" else pa.int64()
    column = pa.array([str(cell) for cell in cells]) if as_text else pa.array(cells, kind)
    values, bad = numbers("c", column, datatype)
    assert (values.tolist(), bad) == (cells, {})


@given(cells=st.lists(st.one_of(st.floats(width=32), st.integers(-1000, 1000), st.none(), st.just("word"))))
def test_a_cell_that_is_no_number_rejects_its_own_row_and_no_other(cells: list[Any]) -> None:
    column = pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
    values, bad = numbers("c", column, "FP32")
    assert set(bad) == {row for row, cell in enumerate(cells) if cell is None or cell == "word"}
    good = [(values[row], np.float32(cell)) for row, cell in enumerate(cells) if row not in bad]
    np.testing.assert_array_equal([a for a, _ in good], [b for _, b in good])


@given(cells=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), datatype=st.sampled_from(WHOLE))
def test_a_number_that_is_too_large_rejects_its_row(cells: list[int], datatype: str) -> None:
    limits = np.iinfo(DTYPES[datatype])
    values, bad = numbers("c", pa.array(cells, pa.int64()), datatype)
    assert set(bad) == {row for row, cell in enumerate(cells) if not limits.min <= cell <= limits.max}
    assert all(values[row] == cell for row, cell in enumerate(cells) if row not in bad)


@pytest.mark.parametrize(
    ("column", "datatype", "expected", "wrong"),
    [
        (pa.array([1.0, 2.5, float("nan")]), "INT32", [1, 0, 0], {1, 2}),
        (pa.array([1e39, 1.0]), "FP32", [0, 1], {0}),
        (pa.array([float("inf"), 1.0]), "FP32", [float("inf"), 1], set()),
        (pa.array(["true", "0", "no", None]), "BOOL", [True, False, False, False], {2, 3}),
        (pa.array([True, False]), "BOOL", [True, False], set()),
        (pa.array([True]), "FP32", [0], {0}),
        (pa.array([" 1.5 ", "2"]), "FP64", [1.5, 2], set()),
        (pa.array(["7", "7.5"]).dictionary_encode(), "INT8", [7, 0], {1}),
        (pa.array([1, None], pa.int32()), "INT64", [1, 0], {1}),
        (pa.array([b"1"]), "INT64", [0], {0}),
        # What Python reads as ten.
        (pa.array(["1_0", "10"]), "INT64", [0, 10], {0}),
        (pa.array(["1_0", "10"]), "FP32", [0, 10], {0}),
    ],
)
def test_what_counts_as_a_value(column: pa.Array, datatype: str, expected: list[Any], wrong: set[int]) -> None:
    values, bad = numbers("c", column, datatype)
    assert (values.tolist(), set(bad)) == (expected, wrong)
    assert all(why.startswith("column 'c' ") for why in bad.values())


@given(rows=st.lists(st.none() | st.lists(st.integers(0, 9), max_size=4)))
def test_a_list_of_another_length_rejects_its_row(rows: list[list[int] | None]) -> None:
    flat, bad = lists("c", pa.array(rows, pa.list_(pa.int64())), 2)
    assert set(bad) == {n for n, row in enumerate(rows) if row is None or len(row) != 2}
    cells = flat.to_pylist()
    assert len(cells) == 2 * len(rows)
    assert all(cells[2 * n : 2 * n + 2] == row for n, row in enumerate(rows) if n not in bad)


def test_text_is_bytes_and_an_empty_cell_rejects_its_row() -> None:
    assert texts("c", pa.array(["ä", None])) == (["ä".encode(), b""], {1: "column 'c' is empty"})
    assert texts("c", pa.array([7])) == ([b"7"], {})
