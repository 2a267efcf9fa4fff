"""The number of replicas follows the load, and no caller notices when they come and go."""

from __future__ import annotations

import json
import logging
import re
from functools import partial
from pathlib import Path

import pytest

from serving.testing.load_client import Load, running
from serving.testing.models import doubler, save, slow
from tests.e2e.conftest import Start
from tests.e2e.doubling import patiently
from tests.e2e.parts import REPLICA, parts, until
from tests.e2e.scrape import Scrape
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.test_versions_under_load import change

log = logging.getLogger(__name__)

POOL = {
    "min_replicas": 1,
    "max_replicas": 2,
    "num_cpus": 0.25,
    "memory_mb": 256,
    "scale_up_delay_s": 1,
    "scale_down_delay_s": 3,
}
# A run takes some ten milliseconds and rows run one by one: sixteen callers at once wait for ten times as long. They
# allow more than the goal, or they would be refused instead of made to wait.
MODEL = {"latency_slo_ms": 50, "batching": {"max_rows": 1}}


def replicas(session: SluiceUp) -> tuple[float, float, int]:
    """Wished, seen by the gateway, and there."""
    page = Scrape(session)
    wished = page.total("sluice_engine_replicas_wished", pool="default")
    return wished, page.total("sluice_pool_replicas", pool="default"), len(parts(session, REPLICA))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_replicas_follow_the_load_up_and_down_and_no_request_fails(tmp_path: Path, start: Start) -> None:
    save(tmp_path, "doubler", 1, slow(rounds=2_000))
    config = tmp_path / "sluice.yaml"
    config.write_text(json.dumps({"pools": {"default": POOL}, "models": {"doubler": MODEL}}))
    session = start("--models", tmp_path, "--config", config, engine="ray")
    load = partial(Load, session.port, patiently, most=1_000_000, for_s=170)
    with running(load(rate=5, callers=4)) as light:
        until(lambda: len(light.report.good) > 10 and replicas(session) == (1, 1, 1), "one replica is enough for it")
        with running(load(callers=16)) as heavy:
            until(lambda: replicas(session) == (2, 2, 2), "a second replica serves")
            there = {one.pid for one in parts(session, REPLICA)}
            save(tmp_path, "other", 1, doubler())
            change(session, "other:load?version=1")
            assert {one.pid for one in parts(session, REPLICA)} == there
            asked = heavy.report.asked
            until(lambda: heavy.report.asked > asked + 100, "both answer")
            high = heavy.stop()
        until(lambda: replicas(session) == (1, 1, 1), "the second one is gone")
        asked = light.report.asked
        until(lambda: light.report.asked > asked + 10, "the first one goes on")
        low = light.stop()
    log.info("high: %s\nlow: %s\n%s", high, low, session.log())
    assert high.failures == []
    assert low.failures == []
    assert re.search(r"pool default: 1 -> 2 replicas: requests wait [0-9.]+ ms, the goal is 50 ms", session.log())
    assert "pool default: 2 -> 1 replicas: nobody waits, and the replicas are busy" in session.log()
