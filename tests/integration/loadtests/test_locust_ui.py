"""Locust's own web UI over the lean generator, as a browser uses it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.sluice_command import ROOT, environment
from tests.integration.loadtests.stub_process import stub
from tests.integration.loadtests.test_locust import SCENARIO
from tests.integration.redis_process import free_ports

PATIENCE_S = 30.0


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[str]:
    """Its address; the users of a scenario ask a server of known behaviour."""
    (tmp_path / "payload.jsonl").write_text('{"path": "/", "body": {"x": 1}, "answer": {"y": 1}}\n')
    (tmp_path / "stub.yaml").write_text(SCENARIO)
    (port,) = free_ports(1)
    with stub(fixed_s=0.005, wrong_every=100) as host:
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests/locustfile.py"), "--host", host]
        command += ["--web-host", "127.0.0.1", "--web-port", str(port)]
        settings = environment(SLUICE_SCENARIO=str(tmp_path / "stub.yaml"))
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=settings, cwd=ROOT) as process:
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                process.send_signal(signal.SIGTERM)


def got(address: str, form: dict[str, object] | None = None) -> bytes:
    """A page, or what a form came to."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(address, data, timeout=10) as response:
        body: bytes = response.read()
        return body


def until(seen: Callable[[], Any]) -> Any:
    """What is seen at last."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        try:
            if found := seen():
                return found
        except urllib.error.URLError:
            pass
        time.sleep(0.1)
    pytest.fail("it was not seen in time")


def test_the_web_ui_begins_and_stops_one_load_after_another(ui: str) -> None:
    assert b"Locust" in until(lambda: got(ui))

    def asked() -> Any:
        told = json.loads(got(f"{ui}/stats/requests"))
        return next((one for one in told["stats"] if one["name"] == "one" and one["num_requests"] > 200), None)

    def stopped() -> bool:
        return bool(json.loads(got(f"{ui}/stats/requests"))["state"] == "stopped")

    for _ in range(2):
        # It begins with figures of nothing, whatever was asked before.
        assert json.loads(got(f"{ui}/swarm", {"user_count": 50, "spawn_rate": 50}))["success"]
        shown = until(asked)
        assert 4 < shown["median_response_time"] < 100
        assert abs(shown["num_failures"] - shown["num_requests"] / 100) <= 2
        got(f"{ui}/stop", {})
        until(stopped)
        got(f"{ui}/stats/reset", {})
