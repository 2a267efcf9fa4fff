"""What rules and dashboards ask is asked of a real Prometheus that scrapes a real session."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.monitoring.hastened import RULES, hastened
from deployments.monitoring.panels import DASHBOARDS
from serving.testing.models import doubler, save
from tests.e2e.flights_rollout import answers, control
from tests.e2e.parts import parts, until
from tests.e2e.prometheus import BINARY, Prometheus
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.test_near_cache import CONFIG, _write

pytestmark = [
    pytest.mark.skipif(BINARY is None, reason="needs Debian's package prometheus"),
    pytest.mark.skipif(not os.environ.get("SLUICE_LONG"), reason="takes half a minute; SLUICE_LONG=1 runs it"),
    pytest.mark.timeout(400),
]
PLAN = {"steps": [{"weight": 50, "duration": "10m"}]}
MEASURED_WITHIN_S = 120.0
# Refused once it is known whose it is: three numbers for four inputs.
TOO_SHORT = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SluiceUp]:
    for version in (1, 2):
        save(tmp_path / "models", "doubler", version, doubler())
    config: dict[str, Any] = json.loads(json.dumps(CONFIG))
    config["features"]["near_cache"] |= {"ttl": "1s", "stale_for": "10m"}
    config["models"]["doubler"] |= {"latency_slo_ms": 500, "routes": {"stable": 1}}
    # Room for the canary's own replica.
    config["pools"] = {"default": {"num_cpus": 0.5, "memory_mb": 256}}
    (tmp_path / "sluice.yaml").write_text(json.dumps(config))
    one = SluiceUp("--models", str(tmp_path / "models"), "--config", str(tmp_path / "sluice.yaml"), engine="ray")
    stopping = threading.Event()
    asking = threading.Thread(target=_ask, args=(one, stopping))
    try:
        one.wait_until_ready()
        _write(one, 1.5)
        asking.start()
        _roll_out(one)
        yield one
        stopping.set()
        asking.join()
        one.close()
    finally:
        stopping.set()
        one.destroy()


@pytest.fixture
def prometheus(session: SluiceUp, tmp_path: Path) -> Iterator[Prometheus]:
    folder = tmp_path / "prometheus"
    folder.mkdir()
    one = Prometheus(folder, session.metrics_port)
    try:
        yield one
    finally:
        one.close()


def test_what_rules_and_dashboards_ask_has_an_answer(session: SluiceUp, prometheus: Prometheus) -> None:
    until(lambda: _asked(prometheus, "sluice_ready == 1"), "Prometheus sees the session")
    (features,) = parts(session, "features.sock")
    features.send_signal(signal.SIGSTOP)
    prometheus.until({"SluiceFeaturesAway"}, fire=True)
    empty = [expression for expression in _expressions() if not prometheus.ask(expression)]
    features.send_signal(signal.SIGCONT)
    assert empty == []


def _expressions() -> list[str]:
    rules = yaml.safe_load(hastened(RULES.read_text()))["groups"]
    recorded = [rule["expr"] for group in rules for rule in group["rules"] if "record" in rule]
    chosen = {"$job": "sluice", "$model": "doubler", "$__rate_interval": "10s", "$__range": "60s"}
    panels = [expression for board in DASHBOARDS for panel in board.panels for expression, _ in panel.shown]
    for name, value in chosen.items():
        panels = [expression.replace(name, value) for expression in panels]
    return recorded + panels


def _roll_out(session: SluiceUp) -> None:
    """Version 2 gets half of the requests, each anew, as all are of one id; what is counted against it is told."""
    api = control(session)
    until(lambda: answers(api), "the control app answers")
    begun = {"canary": 2, "plan": PLAN, "sticky": False, "dry_run": False, "by": "a test"}
    rollout = api.post("/models/doubler/rollouts", {}, begun)["id"]
    measured = "the stable version was measured"
    until(lambda: api.get(f"/rollouts/{rollout}")["phase"] == "step", measured, MEASURED_WITHIN_S)


def _asked(prometheus: Prometheus, expression: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(prometheus.ask(expression))
    return False


def _ask(session: SluiceUp, stopping: threading.Event) -> None:
    """Some 30 requests a second, one of ten wrong, on a new connection each, since workers end."""
    asked = 0
    while not stopping.wait(0.03):
        asked += 1
        body = {"instances": [{"id": 7} if asked % 10 else {}]}
        with contextlib.suppress(OSError, EOFError, ValueError), session.connect() as connection:
            connection.post("/v1/models/doubler:predict", body)
            if not asked % 10:
                connection.post("/v2/models/doubler/infer", TOO_SHORT)
