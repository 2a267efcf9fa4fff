"""What may be stored is the same for a cell of a table and for a value of JSON."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.features.feature_view import FeatureView, feature
from serving.features.packed import RowLayout
from serving.features.tables.stored_value import entity_value, feature_value

ONE_OF_EACH = FeatureView(
    "v",
    ("id",),
    tuple(feature(dtype, dtype) for dtype in ("float32", "float64", "int32", "int64", "bool")),
)
BY_DTYPE = {one.dtype: one for one in ONE_OF_EACH.features}
ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=3)
    | st.decimals()
)


@pytest.mark.parametrize(
    ("dtype", "written", "stored"),
    [
        ("float32", "1.5", 1.5),
        ("float32", 7, 7.0),
        ("float64", Decimal("0.1"), 0.1),
        ("int64", "9007199254740993", 9007199254740993),
        ("int64", "2004.0", 2004),
        ("int64", 12.0, 12),
        ("int32", Decimal(3), 3),
        ("bool", True, 1),
        ("bool", "False", 0),
        ("bool", "1.0", 1),
        ("bool", 0, 0),
    ],
)
def test_a_value_becomes_its_dtype_whoever_wrote_it(dtype: str, written: Any, stored: float) -> None:
    assert feature_value(BY_DTYPE[dtype], written) == stored


@pytest.mark.parametrize("dtype", BY_DTYPE)
@pytest.mark.parametrize("nothing", [None, "", " ", nan, "nan"])
def test_nothing_is_absent(dtype: str, nothing: Any) -> None:
    assert feature_value(BY_DTYPE[dtype], nothing) is None


@pytest.mark.parametrize(
    ("dtype", "written", "why"),
    [
        ("bool", 7, "7 is no bool"),
        ("bool", 0.5, "0.5 is no bool"),
        ("bool", "yes", "'yes' is no bool"),
        ("int64", True, "True is no int64"),
        ("float32", True, "True is no float32"),
        ("float32", b"1.5", "b'1.5' is no float32"),
        ("float32", 1e300, "1e+300 is no float32"),
        ("float32", inf, "inf is not finite"),
        ("float64", "-Infinity", "'-Infinity' is not finite"),
        ("int64", inf, "inf is no int64"),
        ("int64", 1e300, "1e+300 is no int64"),
        ("int64", 0.5, "0.5 is no int64"),
        ("int32", 2**31, "2147483648 is no int32"),
        ("int64", [1], "[1] is no int64"),
        # What Python reads as ten.
        ("int64", "1_0", "'1_0' is no int64"),
        ("float32", "1_0", "'1_0' is no float32"),
        ("bool", "0_1", "'0_1' is no bool"),
    ],
)
def test_what_is_no_such_value_is_told(dtype: str, written: Any, why: str) -> None:
    with pytest.raises(ValueError, match="is no") as refused:
        feature_value(BY_DTYPE[dtype], written)
    assert str(refused.value) == why


@settings(max_examples=300)
@given(ANYTHING, st.sampled_from(list(BY_DTYPE)))
def test_whatever_is_taken_can_be_packed_and_is_read_back(written: Any, dtype: str) -> None:
    one = FeatureView("one", ("id",), (BY_DTYPE[dtype],))
    try:
        value = feature_value(one.features[0], written)
    except ValueError:
        return
    row = RowLayout(one).unpack(RowLayout(one).pack([value], 0))
    assert row is not None
    (stored,) = row.values
    assert (stored is None) == (value is None)
    if stored is not None and value is not None:
        assert abs(stored) < inf
        assert stored == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    ("written", "stored"),
    [("N1", "N1"), (7, 7), (7.0, 7), (-1.0, -1), (b"N1", "N1"), ("7.0", "7.0"), ("ü".encode(), "ü")],
)
def test_an_id_is_stored_as_callers_ask_for_it(written: Any, stored: str | int) -> None:
    value = entity_value("id", written)
    assert (value, type(value)) == (stored, type(stored))


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (None, "is empty, and identifies the row"),
        ("", "is empty"),
        (b"", "is empty"),
        (nan, "is empty"),
        (7.5, "7.5 is no id; ids are text or whole numbers"),
        (2.0**53, "is no id"),
        (inf, "inf is no id"),
        (True, "True is no id"),
        (b"\xff", "is no id"),
        (Decimal(7), "is no id"),
        ("N" * 513, "at most 512"),
    ],
)
def test_what_nobody_can_ask_for_is_no_id(written: Any, why: str) -> None:
    with pytest.raises(ValueError, match=r"is|has") as refused:
        entity_value("id", written)
    assert why in str(refused.value)
