"""A canary has replicas of its own wherever there are replicas, and where not that is said."""

from __future__ import annotations

from typing import Any

import pytest

from serving.config.settings import Settings
from serving.inference import VersionKey
from serving.processes.canary_place import Own, Place, own_versions, place_of, with_own, without_own
from serving.processes.session_plan import ServedModel

POOL = {"min_replicas": 3, "max_replicas": 3, "num_cpus": 0.5, "memory_mb": 128}
ONE, TWO = VersionKey("m", 1), VersionKey("m", 2)


def placed(wish: dict[str, Any] | None = None, **config: Any) -> Place:
    settings = Settings.model_validate({"pools": {"big": POOL}, "models": {"m": {"pool": "big"}}, **config})
    asked = {"shared": False, "replicas": 0, "cpus": 0.0, "memory_mb": 0, "most_bp": 5_000}
    return place_of(settings, "m", 1, 2, {**asked, **(wish or {})})


def test_it_has_as_many_replicas_as_its_largest_share_needs_each_like_those_beside_it() -> None:
    place = placed()
    assert place == Place("m-canary", "in pool m-canary, 2 replicas of its own", Own(2, 2, 0.5, 128))
    assert placed({"most_bp": 100}).says == "in pool m-canary, 1 replica of its own"


def test_the_plan_may_say_another_size() -> None:
    assert placed({"replicas": 1, "cpus": 0.25, "memory_mb": 64}).own == Own(1, 1, 0.25, 64)


def test_beside_a_pool_that_follows_the_load_it_follows_it_too() -> None:
    place = placed(pools={"big": {**POOL, "max_replicas": 8}})
    assert place.own == Own(2, 4, 0.5, 128)
    assert place.says == "in pool m-canary, 2 to 4 replicas of its own"


@pytest.mark.parametrize(
    ("wish", "config", "says"),
    [
        ({"shared": True}, {}, "in pool big, in the same replicas as the stable version"),
        ({}, {"engine": {"kind": "in-process"}}, "in the gateway's workers, beside the stable version"),
        ({}, {"engine": {"kind": "external"}, "state": {"control_url": "redis://r"}}, "in pool big, beside the stable"),
        ({}, {"models": {"m": {"pool": "gateway"}}}, "in the gateway's workers, beside the stable version"),
        (
            {},
            {"models": {"m": {"pool": "big", "routes": {"stable": 1, "canary": 2}}}},
            "in pool big-trial, as the configuration says; the stable version runs in pool big",
        ),
    ],
)
def test_without_replicas_of_its_own_it_says_where_it_runs(
    wish: dict[str, Any], config: dict[str, Any], says: str
) -> None:
    place = placed(wish, **config)
    assert place.own is None
    assert place.says.startswith(says)


def test_one_version_of_a_model_has_replicas_of_its_own_at_a_time() -> None:
    models = {key: ServedModel(*key, f"/{key}") for key in (ONE, TWO, VersionKey("n", 1))}
    apart = with_own(with_own(models, ONE, Own(1, 1, 1.0, 64)), TWO, Own(2, 4, 0.5, 128))
    assert own_versions(apart, "m") == [TWO]
    assert apart[TWO] == ServedModel("m", 2, "/m/2", own_replicas=2, own_most=4, own_cpus=0.5, own_memory_mb=128)
    assert without_own(apart, "m") == models
