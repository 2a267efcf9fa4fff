"""Feast's hashes as rows of ours."""

from __future__ import annotations

import logging
import math
import struct

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.features.feast.feast_source import FeastSource
from serving.features.feast.hash_row import HashRow
from serving.features.feast.value import READS, Unreadable, number
from serving.features.feature_view import FeatureView
from serving.features.keys import row_key
from serving.features.packed import RowLayout
from tests.unit.features.feast.recorded import DTYPES, RecordedHash, recorded, view_of

VIEW = view_of("driver_stats", {"driver_id": "int64"})


def hash_row(view: FeatureView) -> HashRow:
    assert isinstance(view.feast, FeastSource)
    return HashRow(view, view.feast)


@pytest.mark.parametrize("row", recorded(), ids=lambda row: f"{row.view.name} {row.entity}")
def test_what_feast_wrote_is_read_as_feast_answers(row: RecordedHash) -> None:
    reading = hash_row(row.view)
    data = reading.row([row.hash.get(field) for field in reading.fields])
    assert data is not None
    found = RowLayout(row.view).unpack(data)
    assert found is not None
    assert dict(zip(DTYPES, found.values, strict=True)) == {name: row.values[name] for name in DTYPES}
    assert found.event_time_ms == row.event_time_ms


def test_one_command_asks_for_the_fields_and_the_time_of_one_hash() -> None:
    (row,) = [row for row in recorded() if row.entity == {"driver_id": 2**63 - 1}]
    reading = hash_row(row.view)
    parser = hiredis.Reader()
    parser.feed(reading.command(row_key(row.view, [2**63 - 1])))
    assert parser.gets() == [b"HMGET", row.name, *reading.fields]
    assert reading.fields[-1] == b"_ts:driver_stats"
    assert set(reading.fields) <= set(row.hash)


def test_a_hash_without_the_views_fields_is_no_row_and_one_with_some_is() -> None:
    reading = hash_row(VIEW)
    nothing: list[bytes | None] = [None] * len(reading.fields)
    assert reading.row(nothing) is None
    data = reading.row([b"\x18\x07", *nothing[1:]])
    assert data is not None
    found = RowLayout(VIEW).unpack(data)
    assert found is not None
    assert (found.values, found.event_time_ms) == ((7, None, None, None, None, None), 0)


@given(st.lists(st.none() | st.binary(max_size=14) | st.just(b"\x20\x07"), min_size=7, max_size=7))
def test_any_bytes_in_a_hash_stay_in_their_places(values: list[bytes | None]) -> None:
    data = hash_row(VIEW).row(values)
    assert (data is None) == (values == [None] * 7)
    if data is None:
        return
    found = RowLayout(VIEW).unpack(data)
    assert found is not None
    for value, feature, given_bytes in zip(found.values, VIEW.features, values, strict=False):
        assert _same(value, None if given_bytes is None else _alone(given_bytes, feature.dtype))


FLOATS = view_of("floats", {"id": "int64"}, {"a": "float32", "b": "float64", "c": "float32"})
ONE_FLOAT = st.one_of(
    st.floats(width=32).map(lambda value: b"\x35" + struct.pack("<f", value)),
    st.floats().map(lambda value: b"\x29" + struct.pack("<d", value)),
    st.none() | st.binary(max_size=14) | st.just(b"\x20\x07"),
)


@given(st.lists(st.lists(ONE_FLOAT, min_size=3, max_size=3), min_size=1, max_size=6))
def test_floats_of_a_row_at_once_are_the_same_as_one_by_one(rows: list[list[bytes | None]]) -> None:
    reading = hash_row(FLOATS)
    for values in rows:
        data = reading.row([*values, b"\x08\x07"])
        assert data is not None
        found = RowLayout(FLOATS).unpack(data)
        assert found is not None
        assert found.event_time_ms == 7_000
        for value, feature, given_bytes in zip(found.values, FLOATS.features, values, strict=True):
            assert _same(value, None if given_bytes is None else _alone(given_bytes, feature.dtype))


@pytest.mark.parametrize("other", [b"\x29" + struct.pack("<d", math.nan), b"\x21" + struct.pack("<d", 2.5), b""])
def test_a_row_of_the_usual_form_may_hold_something_else(other: bytes) -> None:
    view = view_of("floats", {"id": "int64"}, {"a": "float64", "b": "float64"})
    reading = hash_row(view)
    usual = b"\x29" + struct.pack("<d", 1.5)
    rows = [reading.row([*values, None]) for values in ([usual, usual], [other, usual], [usual, other])]
    found = [RowLayout(view).unpack(data or b"") for data in rows]
    assert [row and row.values for row in found] == [(1.5, 1.5), (None, 1.5), (1.5, None)]


def test_values_that_only_together_have_the_right_length_shift_nothing() -> None:
    view = view_of("floats", {"id": "int64"}, {"a": "float64", "b": "float64"})
    reading = hash_row(view)
    usual = b"\x29" + struct.pack("<d", 1.5)
    for values in ([usual, usual], [usual + b"\x29", usual[1:]], [usual[:-1], usual[-1:] + usual], [usual, usual]):
        data = reading.row([*values, None])
        found = RowLayout(view).unpack(data or b"")
        assert found is not None
        assert found.values == tuple(1.5 if value == usual else None for value in values)


def _alone(data: bytes, dtype: str) -> float | None:
    try:
        value = number(data, READS[dtype])
    except Unreadable:
        return None
    if dtype == "float32" and value is not None:
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    return value


def _same(one: float | None, other: float | None) -> bool:
    # NaN counts as absent.
    return one == other or (one is None and other is not None and math.isnan(other))


def test_values_of_another_type_are_absent_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    reading = hash_row(VIEW)
    text, trips = b"\x12\x01a", b"\x20\x07"
    with caplog.at_level(logging.WARNING):
        rows = [reading.row([text, trips, *[None] * 4, b"\x08\x07"]) for _ in range(3)]
    for data in rows:
        found = RowLayout(VIEW).unpack(data or b"")
        assert found is not None
        assert found.values == (None, 7, None, None, None, None)
    assert [record.getMessage() for record in caplog.records] == [
        "feature i32 of Feast's view driver_stats holds values that are no int32; they count as null"
    ]
