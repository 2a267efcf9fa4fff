"""Pools that others run are found through a Redis that both can reach, and in no other way."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from serving.config.settings import Settings

REDIS = {"control_url": "redis://control:6379/0"}


def test_it_needs_a_control_redis_with_an_address() -> None:
    with pytest.raises(ValidationError, match="control_url: the engine external needs the address"):
        Settings.model_validate({"engine": {"kind": "external"}})
    assert Settings.model_validate({"engine": {"kind": "external"}, "state": REDIS}).engine.kind == "external"


def test_its_pools_are_reached_over_the_stream_only() -> None:
    pools = {"a": {"transport": "serve_handle"}}
    with pytest.raises(ValidationError, match=r"pools\.a\.transport: the engine external"):
        Settings.model_validate({"engine": {"kind": "external"}, "state": REDIS, "pools": pools})
