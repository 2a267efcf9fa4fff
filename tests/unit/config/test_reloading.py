"""Which settings a running session follows: every key is on one side, and one side is written here."""

from __future__ import annotations

import pytest

from serving.config.reloading import changed, refused, takes_restart, values
from serving.config.settings import Settings


def settings(**sections: object) -> Settings:
    return Settings.model_validate(sections)


FIXED = {
    "http": {"host", "port", "workers"},
    "grpc": {"host", "port"},
    "metrics": {"host", "port"},
    "logs": {"format", "levels"},
    "control": {"host", "port", "token_file"},
    "engine": {"kind"},
    "repository": {"models_dir"},
    "state": {"control_url", "rollouts", "features_url", "features_memory_mb", "dir"},
}


def test_what_lives_as_long_as_the_session_takes_its_next_start_and_nothing_else() -> None:
    whole = values(settings(models={"a": {}}, feature_views={"v": {"entity": ["e"], "features": {"f": "float32"}}}))
    found = {path for path in whole if takes_restart(path)}
    fixed = {(section, key) for section, keys in FIXED.items() for key in keys}
    assert found == fixed | {("models", "a", "routes", key) for key in ("stable", "canary", "canary_percent")}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({}, {}, []),
        ({}, {"http": {"max_body_mb": 1.0}, "pools": {"other": {}}}, []),
        ({}, {"http": {"port": 9_000}, "metrics": {"port": None}}, ["http.port", "metrics.port"]),
        ({"models": {"a": {}}}, {"models": {"a": {"routes": {"stable": 1}}}}, ["models.a.routes.stable"]),
        ({}, {"models": {"a": {"routes": {"stable": 1}}}}, []),
        ({"models": {"a": {"routes": {"stable": 1}}}}, {}, []),
    ],
)
def test_what_keeps_a_session_from_following_is_named(
    old: dict[str, object], new: dict[str, object], told: list[str]
) -> None:
    assert refused(settings(**old), settings(**new)) == told


def test_a_models_dot_is_no_separator() -> None:
    assert ("models", "a.b", "pool") in changed(settings(), settings(models={"a.b": {}}))
