"""`sluice up` and the commands that look at what it runs."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.flights.sample import CONFIGURATION
from tests.e2e.running_session import FLIGHTS, RunningUp, running_up
from tests.integration.cli.sluice_command import ROOT, sluice


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    where = ("--models", str(FLIGHTS), "--config", str(CONFIGURATION))
    with running_up(tmp_path_factory.mktemp("up"), *where, "--engine", "in-process") as running:
        yield running


def test_the_readmes_curl_gives_the_readmes_answer(up: RunningUp) -> None:
    readme = (ROOT / "README.md").read_text()
    loads = re.search(r"for view in (.+?); do\n +\.venv/bin/sluice features load (\S+) --config (\S+)\n", readme)
    assert loads
    for view in loads.group(1).split():
        file, port = loads.group(2).replace("$view", view), ("--http-port", up.port)
        loaded = sluice("features", "load", file, "--config", loads.group(3), *port, TMPDIR=str(up.log.parent))
        assert loaded.code == 0, loaded.err
    asked = re.search(r"curl -s http://127\.0\.0\.1:8080(\S+) -d '(.+?)'", readme, re.DOTALL)
    answer = re.search(r"```json\n(.+?)\n```", readme)
    assert asked
    assert answer
    with urllib.request.urlopen(up.url + asked.group(1), asked.group(2).encode(), timeout=10) as response:
        assert json.load(response) == json.loads(answer.group(1))
        assert "x-sluice-degraded" not in response.headers


def test_models_are_listed_shown_and_asked(up: RunningUp) -> None:
    listed = json.loads(sluice("models", "list", "--json", "--url", up.url).out)
    assert [(one["name"], one["versions"], one["ready"]) for one in listed["models"]] == [
        ("flight-delay", [1, 2], True)
    ]
    assert "probabilities" in sluice("models", "show", "flight-delay", "--version", "1", "--url", up.url).out
    row = ",".join(["1"] * 20)
    told = json.loads(sluice("predict", "flight-delay", "--row", row, "--version", "1", "--json", "--url", up.url).out)
    assert (told["version"], len(told["answer"]["outputs"])) == (1, 2)


def test_what_callers_send_by_entity_is_shown(up: RunningUp) -> None:
    shown = sluice("models", "show", "flight-delay", "--url", up.url).out
    assert "tailnum" in shown
    assert "wind_gust" in shown
    assert "25.0246" in shown
    told = json.loads(sluice("models", "show", "flight-delay", "--json", "--url", up.url).out)
    assert told["entity_keys"] == ["tailnum", "carrier", "origin", "dest"]


def test_clients_and_scrapes_are_told_the_same_release(up: RunningUp) -> None:
    with urllib.request.urlopen(f"{up.url}/v2", timeout=10) as answer:
        told = json.load(answer)
    with urllib.request.urlopen(up.metrics, timeout=10) as page:
        assert f'version="{told["version"]}"' in page.read().decode().split("sluice_build_info{")[1]
    assert told["name"] == "sluice"


def test_a_row_that_does_not_fit_is_told_what_would(up: RunningUp) -> None:
    ended = sluice("predict", "flight-delay", "--row", "1,2", "--url", up.url)
    assert ended.code == 1
    assert "answered 400" in ended.err
    assert "20" in ended.err


def test_a_restart_replaces_the_workers_and_returns_when_it_is_done(up: RunningUp) -> None:
    ended = sluice("restart", "--http-port", up.port, TMPDIR=str(up.log.parent))
    assert (ended.code, ended.err) == (0, "")
    assert "replaced the workers" in ended.out
    assert "every gateway worker was replaced" in up.log.read_text()
    assert json.loads(sluice("models", "list", "--json", "--url", up.url).out)["models"][0]["ready"]


def test_a_broken_version_is_refused_by_name_and_the_rest_is_served(tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(FLIGHTS, models)
    broken = models / "flight-delay/3/model.onnx"
    broken.parent.mkdir()
    broken.write_bytes((models / "flight-delay/2/model.onnx").read_bytes()[:1000])
    checked = sluice("models", "check", str(models))
    assert checked.code == 1
    assert str(broken) in checked.out
    with running_up(tmp_path, "--models", str(models), "--engine", "in-process") as running:
        shown = running.log.read_text()
        assert str(broken) in shown
        answer = sluice("predict", "flight-delay", "--row", ",".join(["1"] * 20), "--json", "--url", running.url)
    # The highest version that can be served answers.
    assert json.loads(answer.out)["version"] == 2
