"""What the configuration says of the near cache."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from serving.config.lifetimes import lifetimes
from serving.config.settings import Settings
from serving.features.cache.lifetime import Lifetime

VIEW = {"entity": ["id"], "features": {"a": "float32"}}


def settings(near: dict[str, object], **views: dict[str, object]) -> Settings:
    sections = {name: {**VIEW, "near_cache": section} for name, section in views.items()}
    return Settings.model_validate({"features": {"near_cache": {"max_mb": 8, **near}}, "feature_views": sections})


def test_a_view_says_what_is_different_for_it() -> None:
    found = lifetimes(
        settings(
            {"stale_for": "1h"},
            plane={},
            route={"ttl": "500ms", "negative_ttl": "1m"},
            busy={"invalidation": "ttl_only", "stale_for": "0s"},
            none={"enabled": False},
        )
    )
    assert found == {
        b"sluice:f:plane:": Lifetime(60.0, 3_600.0, 5.0, heard=True),
        b"sluice:f:route:": Lifetime(0.5, 3_600.0, 60.0, heard=True),
        b"sluice:f:busy:": Lifetime(1.0, 0.0, 5.0, heard=False),
    }


def test_without_memory_nothing_is_kept() -> None:
    assert lifetimes(settings({"max_mb": 0}, plane={})) == {}


def test_the_server_tells_of_feasts_rows_as_of_others() -> None:
    feast = {"project": "p", "join_keys": {"id": "int64"}}
    view = {**VIEW, "store": "feast", "feast": feast}
    known = Settings.model_validate({"features": {"near_cache": {"max_mb": 8}}, "feature_views": {"plane": view}})
    assert lifetimes(known) == {b"feast:plane:": Lifetime(60.0, 600.0, 5.0, heard=True)}


@pytest.mark.parametrize("wrong", [{"ttl": "soon"}, {"ttl": "-1s"}, {"invalidation": "client"}, {"max_mb": -1}])
def test_what_is_no_time_or_no_way_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(wrong)
