"""What is refused before a features Redis is asked."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from pydantic import ValidationError

from serving.control.answers import NewRow
from serving.control.feature_rows import FeatureRows
from serving.errors import BadRequest, FeaturesAway, UnknownEntity
from serving.features.feast.feast_source import FeastSource, JoinKey
from serving.features.feature_view import FeatureView, feature

ROUTE = FeatureView(
    "route", ("origin", "dest"), (feature("miles"), feature("stops", "int32"), feature("direct", "bool"))
)
ROWS = FeatureRows("unix:///nowhere/features.sock", {"route": ROUTE})


def test_an_unknown_view_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownEntity, match="no feature view 'plane'; there are route"):
        ROWS.get("plane", ["N1"])


def test_rows_that_feast_writes_are_not_written() -> None:
    feast = FeatureView("stats", ("id",), (feature("x"),), None, FeastSource("p", "s", (JoinKey("id", "int64"),)))
    with pytest.raises(
        BadRequest, match=r"the rows of view 'stats' are Feast's .*, as feature view 's' of project 'p'"
    ):
        FeatureRows("unix:///nowhere/features.sock", {"stats": feast}).put(
            "stats", [NewRow(key=["1"], values={"x": 1})]
        )


def test_a_key_has_a_value_for_each_field_of_the_entity() -> None:
    with pytest.raises(BadRequest, match="found by origin, dest; give 2"):
        ROWS.get("route", ["EWR"])


def test_a_feature_that_the_view_does_not_have_is_named_with_its_row() -> None:
    rows = [NewRow(key=["EWR", "IAH"], values={"miles": 1}), NewRow(key=["EWR", "IAH"], values={"mile": 1})]
    with pytest.raises(BadRequest, match=r"rows\.1\.values: view 'route' has no feature 'mile'"):
        ROWS.put("route", rows)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"values": {"miles": 1e300}}, "rows.600.values.miles: 1e+300 is no float32"),
        ({"values": {"stops": 2**40}}, "rows.600.values.stops: 1099511627776 is no int32"),
        ({"values": {"stops": True}}, "rows.600.values.stops: True is no int32"),
        ({"values": {"direct": 7}}, "rows.600.values.direct: 7 is no bool"),
        ({"values": {"x" * 999: 7}}, f"has no feature '{'x' * 59}...; it has miles, stops, direct"),
        ({"key": ["EWR", "x" * 513]}, "rows.600.key: dest 'xxx"),
        ({"key": ["EWR", ""]}, "rows.600.key: dest '': is empty, and identifies the row"),
        ({"key": ["EWR", "\ud800"]}, "is no valid text"),
        ({"key": ["EWR"]}, "rows.600.key: view 'route' is found by origin, dest; give 2"),
    ],
)
def test_every_row_is_judged_before_the_store_is_asked(row: dict[str, Any], said: str) -> None:
    fine = NewRow(key=["EWR", "IAH"], values={"miles": 1})
    odd = NewRow(**({"key": ["EWR", "IAH"], "values": {}} | row))
    with pytest.raises(BadRequest) as refused:
        ROWS.put("route", [fine] * 600 + [odd])
    assert said in refused.value.message
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("event_time_s", 1e300, "less than 253402300800"),
        ("event_time_s", inf, "finite"),
        ("event_time_s", nan, "finite"),
        ("event_time_s", "12", "valid number"),
        ("event_time_s", True, "valid number"),
        ("values", {"miles": inf}, "must be a finite number, true, false or null"),
        ("values", {"miles": nan}, "must be a finite number, true, false or null"),
        ("values", {"miles": "12"}, "must be a finite number, true, false or null"),
        ("values", {"miles": [1]}, "must be a finite number, true, false or null"),
    ],
)
def test_values_are_taken_as_what_they_are_or_refused_in_one_sentence(field: str, value: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        NewRow(**({"key": ["EWR", "IAH"], "values": {}} | {field: value}))
    assert refused.value.error_count() == 1


def test_a_store_that_is_away_is_said() -> None:
    with pytest.raises(FeaturesAway):
        ROWS.get("route", ["EWR", "IAH"])
