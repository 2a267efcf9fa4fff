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
from onnx import ModelProto, TensorProto

from serving.testing.load_client import Load, Question, running
from serving.testing.models import echo, graph_of, node, raises_on_13, save, value
from tests.e2e.doubling import PATIENT_LINES
from tests.e2e.flights_rollout import BESIDE_OTHERS
from tests.e2e.parts import parts, until
from tests.e2e.scrape import Scrape
from tests.e2e.sluice_up import PROGRAM, SluiceUp, environment

CONTROL_APP = "serving.processes.control_worker"
PATH = "/v2/models/echoes/infer"
# One request in five is of a row that the second version cannot answer.
BAD_EVERY = 5
PLAN: dict[str, Any] = {"steps": [{"weight": 50, "duration": "10s", "max_duration": "5m"}], **BESIDE_OTHERS}
SHADOW: dict[str, Any] = {"percent": 50, "duration": "10s", "max_duration": "5m"}
SHADOW_PLAN = {**PLAN, "shadow": SHADOW}
SCORED_PLAN = {**PLAN, "shadow": {**SHADOW, "gates": {"flips": {"largest": 0.02}}}}
DONE, NOT_PROMOTED = 0, 4


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SluiceUp]:
    """`echoes` in three versions, the second raises on some rows; `scores` in two, the second scores twice as high."""
    folder = tmp_path_factory.mktemp("rollouts")
    for version, model in enumerate((echo(TensorProto.FLOAT, 1), raises_on_13(), echo(TensorProto.FLOAT, 1)), start=1):
        save(folder / "models", "echoes", version, model)
    save(folder / "models", "scores", 1, echo(TensorProto.FLOAT, 1))
    save(folder / "models", "scores", 2, _twice())
    (folder / "models" / "scores" / "model.yaml").write_text("score: y\nthreshold: 0.5\n")
    pool = {"min_replicas": 1, "max_replicas": 1, "num_cpus": 0.5, "memory_mb": 256}
    config = folder / "sluice.yaml"
    # JSON is YAML.
    models = {name: {"routes": {"stable": 1}} for name in ("echoes", "scores")}
    config.write_text(json.dumps({"pools": {"default": pool}, "models": models}))
    (folder / "plan.yaml").write_text(json.dumps(PLAN))
    session = SluiceUp("--models", str(folder / "models"), "--config", str(config), engine="ray")
    (session.folder / "plan.yaml").write_text(json.dumps(PLAN))
    (session.folder / "shadow.yaml").write_text(json.dumps(SHADOW_PLAN))
    (session.folder / "scored.yaml").write_text(json.dumps(SCORED_PLAN))
    try:
        yield session.wait_until_ready()
        session.close()
    finally:
        session.destroy()


def _twice() -> ModelProto:
    """`x` FP32 [-1, 1] → `y` = 2x."""
    kind = TensorProto.FLOAT
    return graph_of([node("Add", ["x", "x"], ["y"])], [value("x", kind, ["n", 1])], [value("y", kind, ["n", 1])])


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
    return Question(
        PATH,
        json.dumps(document).encode(),
        lambda body: json.loads(body)["outputs"][0]["data"] == [value],
        PATIENT_LINES,
    )


@pytest.mark.timeout(240)
def test_a_version_that_fails_on_some_rows_is_rolled_back_for_its_errors(session: SluiceUp) -> None:
    with running(Load(session.port, question, most=1_000_000, for_s=200, rate=100.0)):
        sluice(session, "rollout", "start", "echoes", "2", "--plan", str(session.folder / "plan.yaml"))
        plan = json.loads(sluice(session, "rollout", "plan", "echoes", "--measure", "2", "--json"))
        told = sluice(session, "rollout", "wait", "echoes", "--for", "promoted", "--timeout", "120", code=NOT_PROMOTED)
    assert plan["requests_per_min"] > 1_000  # 6,000 where there are processors
    assert set(plan["sources"].values()) == {"measured"}
    # About one for each; a batch that fails is run again in parts.
    assert 0 < plan["runs_per_request"] < 2
    assert "rolled back: errors" in told
    assert "on the canary against 0/" in told
    assert "same: rolled back" in sluice(session, "rollout", "replay", "echoes")
    assert "errors: errors " in sluice(session, "rollout", "explain", "echoes")
    assert "rolled back" in sluice(session, "rollout", "history", "echoes")
    seen = status(session)
    assert (seen["reason"], seen["weight_percent"]) == ("errors", 0)
    assert seen["counted_by"] == "request"
    assert {gate["judged_by"]["counts"] for gate in seen["gates"]} == {"requests", "runs"}
    of = {"model": "echoes", "rollout": seen["id"]}
    until(lambda: Scrape(session).total("sluice_rollout_phase", phase="rolled_back", **of), "the end is on the page")
    page = Scrape(session)
    assert page.total("sluice_rollout_verdict", verdict="fail", reason="errors", **of) == 1
    evidence, needed = (page.total(f"sluice_rollout_evidence{what}", gate="errors", **of) for what in ("", "_needed"))
    assert evidence >= needed > 0


def shadowed(number: int) -> Question:
    if number % 2:
        return question(number // 2)
    score = number % 100 / 128
    document = {"id": f"r{number}", "inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [score]}]}
    path = "/v2/models/scores/infer"
    return Question(
        path,
        json.dumps(document).encode(),
        lambda body: json.loads(body)["outputs"][0]["data"] == [score],
        PATIENT_LINES,
    )


@pytest.mark.timeout(240)
def test_a_shadow_that_fails_or_decides_otherwise_never_gets_a_share_and_touches_no_answer(session: SluiceUp) -> None:
    with running(Load(session.port, shadowed, most=1_000_000, for_s=200, rate=200.0)) as load:
        for model, plan in (("echoes", "shadow.yaml"), ("scores", "scored.yaml")):
            sluice(session, "rollout", "start", model, "2", "--plan", str(session.folder / plan))
        told = {
            model: sluice(session, "rollout", "wait", model, "--timeout", "120", code=NOT_PROMOTED)
            for model in ("echoes", "scores")
        }
    assert not load.report.failures, load.report
    assert "copies failed" in told["echoes"]
    assert "pairs decide otherwise" in told["scores"]
    assert "same: rolled back" in sluice(session, "rollout", "replay", "scores")
    assert "shadow flips: " in sluice(session, "rollout", "explain", "scores")
    seen: dict[str, Any] = json.loads(sluice(session, "rollout", "status", "scores", "--json"))
    assert (seen["reason"], seen["requests"]["canary"]) == ("shadow_flips", 0)
    worst = seen["shadow"]["differences"][0]
    assert worst["request_id"].startswith("r")
    assert worst["delta"] == worst["stable"]["score"] > 0.7
    assert worst["inputs"] is None
    page = Scrape(session)
    assert page.total("sluice_shadow_copies_total", model="scores", outcome="ok") > 50
    assert page.total("sluice_shadow_copies_total", model="echoes", outcome="failed") > 5
    assert not page.total("sluice_requests_total", model="scores", version="2")


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
