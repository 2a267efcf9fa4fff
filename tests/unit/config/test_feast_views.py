"""The section made from what a Feast repository has."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from serving.config.feast_views import feast_views
from serving.config.settings import Settings
from serving.errors import ConfigInvalid
from serving.features.feast.feast_source import FeastSource, JoinKey

VIEW: dict[str, Any] = {
    "name": "stats",
    "online": True,
    "ttl_s": 86_400.0,
    "join_keys": {"zone": "INT32", "driver": "STRING"},
    "features": {"trips": "INT64", "rating": "FLOAT", "score": "DOUBLE", "at": "UNIX_TIMESTAMP", "new": "BOOL"},
}


def repository(*views: dict[str, Any], **changed: Any) -> dict[str, Any]:
    told = {
        "project": "größe: 1",
        "online_store": "redis",
        "address": "h:6379,db=1",
        "key_version": 3,
        "views": list(views),
        "others": [],
    }
    return {**told, **changed}


def compiled(text: str) -> dict[str, Any]:
    """Through the whole configuration, as a person would use it."""
    settings = Settings.model_validate(yaml.safe_load(text))
    return {name: section.compiled(name) for name, section in settings.feature_views.items()}


def test_what_is_written_is_a_configuration_that_reads_the_view() -> None:
    imported = feast_views(repository(VIEW))
    view = compiled(imported.text)["stats"]
    assert view.entity == ("driver", "zone")
    assert view.feast == FeastSource("größe: 1", "stats", (JoinKey("driver", "string"), JoinKey("zone", "int32")))
    assert view.max_age_s == 86_400
    assert {one.name: one.dtype for one in view.features} == {
        "trips": "int64",
        "rating": "float32",
        "score": "float64",
        "at": "int64",
        "new": "bool",
    }
    assert (imported.views, list(imported.left_out)) == (1, [])
    assert "# `state.features_url` has to name its Redis: 'h:6379,db=1'\n" in imported.text


@pytest.mark.parametrize(
    ("ttl_s", "age"),
    [(0, None), (86_400, "1d"), (43_200, "12h"), (5_400, "90m"), (59, "59s"), (0.2, "1s"), (61, "61s")],
)
def test_the_ttl_is_the_age_and_none_is_too_short(ttl_s: float, age: str | None) -> None:
    sections = yaml.safe_load(feast_views(repository({**VIEW, "ttl_s": ttl_s})).text)["feature_views"]
    assert sections["stats"].get("max_age") == age


def test_what_cannot_be_read_is_left_out_and_told() -> None:
    strange = {"word": "STRING", "vector": "FLOAT_LIST", "per cent": "DOUBLE", "x\ny": "INT32"}
    imported = feast_views(
        repository(
            {**VIEW, "features": {**VIEW["features"], **strange}},
            {**VIEW, "name": "offline", "online": False},
            {**VIEW, "name": "whole", "join_keys": {}},
            {**VIEW, "name": "by_time", "join_keys": {"at": "UNIX_TIMESTAMP"}},
            {**VIEW, "name": "words", "features": {"word": "STRING"}},
            others=["on_demand"],
        )
    )
    assert list(compiled(imported.text)) == ["stats"]
    assert list(imported.left_out) == [
        "view on_demand: is computed on demand",
        "feature word of view stats: is STRING, no number",
        "feature vector of view stats: is FLOAT_LIST, no number",
        "feature per cent of view stats: its name has more than letters, digits, _ and -",
        "feature x\ny of view stats: its name has more than letters, digits, _ and -",
        "view offline: is not online",
        "view whole: has no entity",
        "view by_time: has the join key at (UNIX_TIMESTAMP), which is no int32, int64 or string",
        "view words: has no feature that is a number",
    ]
    assert "# Left out: view offline: is not online\n" in imported.text


def test_names_that_are_none_here_are_kept_as_feasts() -> None:
    odd = {**VIEW, "name": "fahrer.täglich", "join_keys": {"driver id": "INT64"}}
    views = compiled(feast_views(repository(odd, {**odd, "name": "fahrer täglich"}, {**VIEW, "name": "request"})).text)
    assert {name: view.feast.view for name, view in views.items()} == {
        "fahrer_t_glich": "fahrer.täglich",
        "fahrer_t_glich_2": "fahrer täglich",
        "request_2": "request",
    }
    assert views["fahrer_t_glich"].entity == ("driver_id",)
    assert views["fahrer_t_glich"].feast.join_keys == (JoinKey("driver id", "int64"),)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"online_store": "sqlite"}, "its online store is sqlite; Sluice reads Feast's Redis"),
        ({"key_version": 2}, "its entity_key_serialization_version is 2; Sluice reads 3"),
    ],
)
def test_another_store_or_another_key_is_refused(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        feast_views(repository(VIEW, **changed))
    assert refused.value.message == why
