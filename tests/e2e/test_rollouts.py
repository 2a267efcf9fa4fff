"""Rollouts of a real session: a bad version is rolled back with its reason, orders hold, and commands say it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from serving.testing.load_client import Load, Question, running
from serving.testing.models import echo, raises_on_13, save
from tests.e2e.parts import parts, until
from tests.e2e.scrape import Scrape
from tests.e2e.sluice_up import PROGRAM, SluiceUp, environment

CONTROL_APP = "serving.processes.control_worker"
PATH = "/v2/models/echoes/infer"
# One request in five is of a row that the second version cannot answer.
BAD_EVERY = 5
PLAN = {"steps": [{"weight": 50, "duration": "10s", "max_duration": "5m"}]}
DONE, NOT_PROMOTED = 0, 4


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SluiceUp]:
    """`echoes` in three versions: the second raises on some rows, the third is like the first."""
    folder = tmp_path_factory.mktemp("rollouts")
    for version, model in enumerate((echo(TensorProto.FLOAT, 1), raises_on_13(), echo(TensorProto.FLOAT, 1)), start=1):
        save(folder / "models", "echoes", version, model)
    pool = {"min_replicas": 1, "max_replicas": 1, "num_cpus": 0.5, "memory_mb": 256}
    config = folder / "sluice.yaml"
    # JSON is YAML.
    config.write_text(json.dumps({"pools": {"default": pool}, "models": {"echoes": {"routes": {"stable": 1}}}}))
    (folder / "plan.yaml").write_text(json.dumps(PLAN))
    session = SluiceUp("--models", str(folder / "models"), "--config", str(config), engine="ray")
    (session.folder / "plan.yaml").write_text(json.dumps(PLAN))
    try:
        yield session.wait_until_ready()
        session.close()
    finally:
        session.destroy()


def sluice(session: SluiceUp, *arguments: str, code: int = DONE) -> str:
    """A command as its user types it; what it printed."""
    where = environment(TMPDIR=str(session.folder / "tmp"), XDG_RUNTIME_DIR=str(session.folder / "run"))
    ended = subprocess.run(
        [*PROGRAM, *arguments, "--http-port", str(session.port)],
        env=where,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ended.returncode == code, f"{ended.returncode}: {ended.stdout}{ended.stderr}\n{session.logs()}"
    return ended.stdout + ended.stderr


def status(session: SluiceUp) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sluice(session, "rollout", "status", "echoes", "--json"))
    return found


def question(number: int) -> Question:
    value = 13 if number % BAD_EVERY == 0 else number % 1_000 + 20
    document = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [value]}]}
    return Question(PATH, json.dumps(document).encode(), lambda body: json.loads(body)["outputs"][0]["data"] == [value])


@pytest.mark.timeout(240)
def test_a_version_that_fails_on_some_rows_is_rolled_back_for_its_errors(session: SluiceUp) -> None:
    with running(Load(session.port, question, most=1_000_000, for_s=200, rate=100.0)):
        sluice(session, "rollout", "start", "echoes", "2", "--plan", str(session.folder / "plan.yaml"))
        plan = json.loads(sluice(session, "rollout", "plan", "echoes", "--measure", "2", "--json"))
        told = sluice(session, "rollout", "wait", "echoes", "--for", "promoted", "--timeout", "120", code=NOT_PROMOTED)
    assert plan["requests_per_min"] > 1_000  # 6,000 where there are processors
    assert "rolled back: errors" in told
    assert "on the canary against 0/" in told
    assert "same: rolled back" in sluice(session, "rollout", "replay", "echoes")
    assert "errors: errors " in sluice(session, "rollout", "explain", "echoes")
    assert "rolled back" in sluice(session, "rollout", "history", "echoes")
    seen = status(session)
    assert (seen["reason"], seen["weight_percent"]) == ("errors", 0)
    assert seen["counted_by"] == "request"
    of = {"model": "echoes", "rollout": seen["id"]}
    until(lambda: Scrape(session).total("sluice_rollout_phase", phase="rolled_back", **of), "the end is on the page")
    page = Scrape(session)
    assert page.total("sluice_rollout_verdict", verdict="fail", reason="errors", **of) == 1
    evidence, needed = (page.total(f"sluice_rollout_evidence{what}", gate="errors", **of) for what in ("", "_needed"))
    assert evidence >= needed > 0


@pytest.mark.timeout(240)
def test_without_its_controller_a_rollout_stays_as_it_is_and_the_next_one_goes_on(session: SluiceUp) -> None:
    with running(Load(session.port, question, most=1_000_000, for_s=200, rate=100.0)):
        sluice(session, "rollout", "start", "echoes", "3", "--plan", str(session.folder / "plan.yaml"))
        until(lambda: status(session)["phase"] == "step", "the step has begun")
        (app,) = parts(session, CONTROL_APP)
        os.kill(app.pid, signal.SIGKILL)
        until(lambda: parts(session, CONTROL_APP), "the control app is started again")
        until(lambda: _orders_again(session), "the next controller has taken over")
        sluice(session, "rollout", "freeze")
        sluice(session, "rollout", "unfreeze")
        sluice(session, "rollout", "resume", "echoes")
        assert status(session)["weight_percent"] == PLAN["steps"][0]["weight"]
        sluice(session, "rollout", "promote", "echoes", "--full")
        sluice(session, "rollout", "wait", "echoes", "--for", "promoted", "--timeout", "30")
        assert status(session)["weight_percent"] == 100
    sluice(session, "models", "pin", "echoes", "1")
    sluice(session, "rollout", "start", "echoes", "3")
    sluice(session, "rollout", "abort", "echoes")
    sluice(session, "rollout", "wait", "echoes", code=NOT_PROMOTED)


def _orders_again(session: SluiceUp) -> bool:
    try:
        sluice(session, "rollout", "pause", "echoes")
    except AssertionError:
        return False
    return True


def test_commands_of_rollouts_say_what_is_wrong(session: SluiceUp, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("steps: [{weight: 10}, {weight: 5}]")
    told = sluice(session, "rollout", "start", "echoes", "3", "--plan", str(bad), code=1)
    assert "weights must grow with each step" in told
    assert "is not served" in sluice(session, "rollout", "start", "echoes", "9", code=1)
    assert "answers all requests already" in sluice(session, "rollout", "start", "echoes", "1", code=1)
    assert "there is no rollout" in sluice(session, "rollout", "pause", "nothing", code=1)
