"""What the sections of features say of rows that Feast keeps."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from serving.config.effective import effective
from serving.config.feature_sections import FeatureViewSection
from serving.errors import ConfigInvalid
from serving.features.feast.feast_source import FeastSource, JoinKey

FEAST: dict[str, Any] = {
    "store": "feast",
    "entity": ["driver", "zone"],
    "max_age": "1d",
    "feast": {"project": "p", "join_keys": {"zone": "string", "driver": {"type": "int64", "name": "driver_id"}}},
    "features": {"trips": "int64"},
}


def view(**changed: Any) -> Any:
    return FeatureViewSection.model_validate({**FEAST, **changed}).compiled("stats")


def test_join_keys_stand_in_the_order_of_the_entity() -> None:
    assert view().feast == FeastSource("p", "stats", (JoinKey("driver_id", "int64"), JoinKey("zone", "string")))


def test_feast_may_call_the_view_by_another_name() -> None:
    assert view(feast={**FEAST["feast"], "view": "driver_stats"}).feast.view == "driver_stats"


def test_a_view_is_packed_unless_it_says_otherwise() -> None:
    packed = FeatureViewSection.model_validate({"entity": ["id"], "features": {"x": "float32"}})
    assert packed.compiled("v").feast is None


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"feast": None}, "store: feast needs feast: {project: ..., join_keys: {...}}"),
        ({"store": "packed"}, "feast has no meaning with store: packed"),
        ({"entity": ["driver"]}, "feast.join_keys must name the fields of entity and no other: driver"),
        ({"entity": ["driver", "zone", "x"]}, "no other: driver, zone, x"),
        ({"store": "redis"}, "permitted: one of packed, feast"),
        ({"features": {"word": "string"}}, "permitted: one of float32, float64, int32, int64, bool"),
        (
            {"feast": {"project": "p", "join_keys": {"driver": "double", "zone": "string"}}},
            "permitted: one of int32, int64, string",
        ),
    ],
)
def test_what_does_not_fit_is_named(changed: dict[str, Any], why: str, tmp_path: Any) -> None:
    file = tmp_path / "sluice.yaml"
    file.write_text(yaml.safe_dump({"feature_views": {"stats": {**FEAST, **changed}}}))
    with pytest.raises(ConfigInvalid) as refused:
        effective(file, {}, {})
    assert why in refused.value.message
    assert "1 problem:" in refused.value.message


def test_a_view_says_when_rows_are_forgotten_and_which_generation_they_are() -> None:
    ranged = {"dtype": "int32", "range": [1, 900]}
    given = {"entity": ["id"], "features": {"x": ranged}, "expire_after": "30d", "generation": 2}
    view = FeatureViewSection.model_validate(given).compiled("v")
    assert (view.expire_after_s, view.generation, view.features[0].bounds) == (2_592_000, 2, (1, 900))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"expire_after": "30d"}, "expire_after and generation are for rows that Sluice writes"),
        ({"generation": 2}, "expire_after and generation are for rows that Sluice writes"),
    ],
)
def test_what_feast_writes_has_neither(changed: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        FeatureViewSection.model_validate({**FEAST, **changed})


def test_a_range_without_anything_in_between_is_refused() -> None:
    empty = {"entity": ["id"], "features": {"x": {"dtype": "int32", "range": [2, 1]}}}
    with pytest.raises(ValidationError, match=r"has the range \[2, 1\]; write \[lowest, highest\]"):
        FeatureViewSection.model_validate(empty)
