"""Rows as bytes: what is written is read, and nothing else ever is."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.features.feature_view import DTYPES, Feature, FeatureView, feature
from serving.features.packed import HEAD_BYTES, RowLayout

RECORDED = Path(__file__).parents[2] / "fixtures" / "packed"

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "float32": st.floats(width=32, allow_nan=False),
    "float64": st.floats(allow_nan=False),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
}
DTYPE_LISTS = st.lists(st.sampled_from(sorted(DTYPES)), min_size=1, max_size=20)


def view_of(dtypes: list[str], name: str = "v") -> FeatureView:
    return FeatureView(name, ("id",), tuple(feature(f"f{n}", dtype) for n, dtype in enumerate(dtypes)))


def meaning(view: FeatureView) -> object:
    return view.name, view.entity, [(feature.name, feature.dtype) for feature in view.features]


@st.composite
def rows(draw: st.DrawFn) -> tuple[FeatureView, list[Any]]:
    dtypes = draw(DTYPE_LISTS)
    return view_of(dtypes), [draw(st.none() | VALUES[dtype]) for dtype in dtypes]


@given(rows(), st.integers(-(2**40), 2**40))
def test_a_row_comes_back_as_it_was_written(row: tuple[FeatureView, list[Any]], event_time_s: int) -> None:
    view, values = row
    layout = RowLayout(view)
    found = layout.unpack(layout.pack(values, event_time_s))
    assert found is not None
    assert list(found.values) == values
    assert found.event_time_ms == event_time_s * 1000


@given(DTYPE_LISTS, st.binary(max_size=300))
def test_any_bytes_are_a_row_of_this_view_or_none(dtypes: list[str], data: bytes) -> None:
    layout = RowLayout(view_of(dtypes))
    assert layout.unpack(data) is None
    for made in (layout.head + data, layout.head + (data * 20)[: layout.size - len(layout.head)]):
        row = layout.unpack(made)
        assert (row is not None) == (len(made) == layout.size)
        assert row is None or len(row.values) == len(dtypes)


@given(rows(), st.data())
def test_a_cut_or_lengthened_row_is_no_row(row: tuple[FeatureView, list[Any]], data: st.DataObject) -> None:
    layout = RowLayout(row[0])
    packed = layout.pack(row[1], 0)
    assert layout.unpack(packed[: data.draw(st.integers(0, len(packed) - 1))]) is None
    assert layout.unpack(packed + data.draw(st.binary(min_size=1, max_size=9))) is None


@given(rows(), DTYPE_LISTS)
def test_a_changed_view_never_decodes_old_rows(row: tuple[FeatureView, list[Any]], dtypes: list[str]) -> None:
    view, values = row
    packed = RowLayout(view).pack(values, 0)
    first = view.features[0]
    changed = [
        replace(view, name="w"),
        replace(view, entity=("other",)),
        replace(view, entity=("id", "more")),
        replace(view, features=(replace(first, name="renamed"), *view.features[1:])),
        replace(view, features=(*view.features, feature("added"))),
        replace(view, features=view.features[::-1]),
        view_of(dtypes),
    ]
    for other in changed:
        if meaning(other) != meaning(view):
            assert RowLayout(other).unpack(packed) is None


def test_defaults_and_ages_may_change_under_rows_that_are_stored() -> None:
    view = view_of(["float32"])
    packed = RowLayout(view).pack([7], 0)
    changed = replace(view, max_age_s=5.0, features=(Feature("f0", "float32", 3.0),))
    row = RowLayout(changed).unpack(packed)
    assert row is not None
    assert row.values == (7.0,)


def test_nan_is_absent() -> None:
    layout = RowLayout(view_of(["float32", "float64"]))
    row = layout.unpack(layout.pack([math.nan, 1], 0))
    assert row is not None
    assert row.values == (None, 1.0)


@pytest.mark.parametrize(
    ("dtype", "value"), [("float32", 1e300), ("int32", 2**31), ("int64", 2**63), ("int64", 1.5), ("int32", "1")]
)
def test_a_value_that_does_not_fit_is_named(dtype: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"feature 'f1' is .* which is no {dtype}"):
        RowLayout(view_of(["bool", dtype])).pack([1, value], 0)


def test_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="has 2 features, got 1 values"):
        RowLayout(view_of(["bool", "bool"])).pack([1], 0)


@pytest.mark.parametrize("recorded", sorted(RECORDED.glob("*.json")), ids=lambda path: path.stem)
def test_recorded_rows_are_read_and_written_as_they_were(recorded: Path) -> None:
    document = json.loads(recorded.read_text())
    features = tuple(feature(one["name"], one["dtype"]) for one in document["features"])
    layout = RowLayout(FeatureView(document["view"], tuple(document["entity"]), features))
    assert document["rows"]
    for row in document["rows"]:
        packed = bytes.fromhex(row["bytes"])
        found = layout.unpack(packed)
        assert found is not None
        assert list(found.values) == row["values"]
        assert found.event_time_ms == row["event_time_ms"]
        assert layout.pack(row["values"], row["event_time_ms"] / 1000) == packed


def test_the_layout_is_as_documented() -> None:
    layout = RowLayout(view_of(["float32", "int64", "bool"]))
    packed = layout.pack([1.5, None, True], 2.0)
    assert packed[:1] == b"\x01"
    assert packed[1:9] == layout.view.fingerprint
    assert struct.unpack_from("<q", packed, 9) == (2000,)
    assert packed[HEAD_BYTES] == 0b101
    assert packed[HEAD_BYTES + 1 :] == struct.pack("<fq?", 1.5, 0, True)
