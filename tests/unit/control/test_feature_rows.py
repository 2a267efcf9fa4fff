"""What is refused before a features Redis is asked."""

from __future__ import annotations

import pytest

from serving.control.answers import NewRow
from serving.control.feature_rows import FeatureRows
from serving.errors import BadRequest, FeaturesAway, UnknownEntity
from serving.features.feature_view import FeatureView, feature

ROUTE = FeatureView("route", ("origin", "dest"), (feature("miles"), feature("stops", "int32")))
ROWS = FeatureRows("unix:///nowhere/features.sock", {"route": ROUTE})


def test_an_unknown_view_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownEntity, match="no feature view 'plane'; there are route"):
        ROWS.get("plane", ["N1"])


def test_a_key_has_a_value_for_each_field_of_the_entity() -> None:
    with pytest.raises(BadRequest, match="found by origin, dest; give 2"):
        ROWS.get("route", ["EWR"])


def test_a_feature_that_the_view_does_not_have_is_named_with_its_row() -> None:
    rows = [NewRow(key=["EWR", "IAH"], values={"miles": 1}), NewRow(key=["EWR", "IAH"], values={"mile": 1})]
    with pytest.raises(BadRequest, match=r"rows\.1\.values: view 'route' has no feature 'mile'"):
        ROWS.put("route", rows)


def test_a_store_that_is_away_is_said() -> None:
    with pytest.raises(FeaturesAway):
        ROWS.get("route", ["EWR", "IAH"])
