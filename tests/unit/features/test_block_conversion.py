"""Many rows converted at once are what each is by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.features.block_conversion import BlockConversion
from serving.features.feature_view import FeatureView, feature
from serving.features.packed import RowLayout
from serving.features.segments import BECOMES, Column, Pieces, segments_of

VIEW = FeatureView(
    "v",
    ("id",),
    (feature("b", "bool"), feature("i", "int32"), feature("q", "int64"), feature("f"), feature("d", "float64")),
)
LAYOUT = RowLayout(VIEW)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "b": st.booleans(),
    "i": st.integers(-(2**31), 2**31 - 1),
    "q": st.integers(-(2**63), 2**63 - 1),
    "f": st.floats(width=32, allow_nan=False),
    "d": st.floats(allow_nan=False),
}


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "INT32", "INT64", "BOOL"])
@given(rows=st.lists(st.tuples(*VALUES.values()), min_size=1, max_size=5))
def test_each_row_has_the_same_bytes(datatype: str, rows: list[tuple[Any, ...]]) -> None:
    names = [one.name for one in VIEW.features if datatype in BECOMES[one.dtype]][::-1]
    pieces = Pieces([LAYOUT], [], [])
    segments_of([Column("v", name) for name in names], datatype, pieces)
    # Where all have the datatype already, there is nothing to convert.
    for conversion in pieces.conversions:
        packed = [LAYOUT.pack(row, 0) for row in rows]
        block = np.frombuffer(b"".join(packed), np.uint8).reshape(len(rows), LAYOUT.size)
        assert BlockConversion(conversion).of_all(block).tobytes() == b"".join(map(conversion.convert, packed))


def test_a_large_whole_number_is_rounded_as_struct_rounds_it() -> None:
    pieces = Pieces([LAYOUT], [], [])
    segments_of([Column("v", "q")], "FP32", pieces)
    # Halfway between two float32 once it is a float64, and above the middle before.
    packed = LAYOUT.pack((False, 0, 2**60 + 2**36 + 1, 0, 0), 0)
    block = np.frombuffer(packed, np.uint8).reshape(1, -1)
    assert BlockConversion(pieces.conversions[0]).of_all(block).tobytes() == pieces.conversions[0].convert(packed)


def test_a_boolean_of_any_byte_is_one() -> None:
    pieces = Pieces([LAYOUT], [], [])
    segments_of([Column("v", "b")], "FP32", pieces)
    packed = bytearray(LAYOUT.pack((True, 0, 0, 0, 0), 0))
    packed[LAYOUT.values_at] = 7
    block = np.frombuffer(packed, np.uint8).reshape(1, -1)
    assert BlockConversion(pieces.conversions[0]).of_all(block).tobytes() == np.float32(1).tobytes()
