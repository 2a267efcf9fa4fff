"""What a session tells of its batches, and what it knows of run times after workers and sessions were started again."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.testing.models import doubler, save
from tests.e2e.parts import until
from tests.e2e.scrape import Scrape
from tests.e2e.sluice_up import PROGRAM, SluiceUp, environment
from tests.e2e.test_control import sluice, told

# The session's first prediction asks the version that answers by default, and so no other one.
ASKED = "/v2/models/doubler/versions/1/infer"


@pytest.fixture
def arguments(tmp_path: Path) -> tuple[str, ...]:
    """Two versions of `doubler` with a goal, and a state that outlives the session."""
    for version in (1, 2):
        save(tmp_path / "models", "doubler", version, doubler())
    model = {"latency_slo_ms": 800, "batching": {"max_rows": 8, "queue_rows": 16}}
    config = tmp_path / "sluice.yaml"
    config.write_text(json.dumps({"state": {"dir": str(tmp_path / "state")}, "models": {"doubler": model}}))
    return "--models", str(tmp_path / "models"), "--config", str(config)


@pytest.fixture
def session(arguments: tuple[str, ...]) -> Iterator[SluiceUp]:
    """Its first session."""
    yield from running(*arguments)


def running(*arguments: str) -> Iterator[SluiceUp]:
    session = SluiceUp(*arguments)
    try:
        yield session.wait_until_ready()
    finally:
        session.destroy()


def ask(session: SluiceUp, rows: int = 1) -> int:
    """The status of one request."""
    body = {"inputs": [{"name": "x", "shape": [rows, 4], "datatype": "FP32", "data": [1.0] * rows * 4}]}
    with session.connect() as connection:
        return connection.request("POST", ASKED, json.dumps(body).encode()).status


def first(session: SluiceUp) -> dict[str, Any]:
    """What is told of version 1."""
    bodies: list[dict[str, Any]] = []

    def answered() -> bool:
        # A worker that has to wait for a core for half a second tells nothing.
        status, body = told(session, "GET", "/api/v1/models/doubler/batching")
        assert status in (200, 503), body
        bodies.append(body)
        return status == 200

    until(answered, "a worker tells of it")
    (found,) = [one for one in bodies[-1]["versions"] if one["version"] == 1]
    return dict(found)


def learned(session: SluiceUp, batches: int = 20) -> dict[str, float]:
    """The estimate after some batches, once the supervisor has been told of it."""
    for number in range(batches):
        assert ask(session, 1 + number % 8) == 200
    until(lambda: first(session)["batches"] == batches, "the batches are counted")
    estimate = first(session)["estimate"]
    until(lambda: known(session) == parts_of(estimate), "the estimate is told")
    return parts_of(estimate)


def parts_of(estimate: dict[str, float]) -> dict[str, float]:
    return {name: estimate[name] for name in ("fixed_s", "row_s", "margin")}


def known(session: SluiceUp) -> dict[str, float]:
    """The estimate of version 1 as Prometheus sees it."""
    page = Scrape(session)
    names = {"fixed_s": "sluice_run_fixed_seconds", "row_s": "sluice_run_row_seconds", "margin": "sluice_run_margin"}
    return {part: page.total(name, model="doubler", version="1") for part, name in names.items()}


def test_api_command_and_metrics_tell_what_ran_and_what_was_refused(session: SluiceUp) -> None:
    learned(session)
    assert ask(session, 17) == 413
    until(lambda: first(session)["refused_rows"] == {"too_large": 17}, "refused rows are counted")
    seen = first(session)
    assert (seen["goal_s"], seen["promised"], seen["window"]["max_rows"]) == (0.8, True, 8)
    assert (seen["batches"], seen["rows_per_batch"], seen["slack"]["late"]) == (20, 4.1, 0)
    assert seen["slack"]["most_had_s"] > 0.0
    assert Scrape(session).total("sluice_batch_window_rows", model="doubler", version="1") == 8
    shown = sluice_show(session)
    assert "direct, version 1 in pool gateway: a batch of n rows runs " in shown
    assert "(learned from 20 runs). Batches of up to 8 rows meet the goal of 800 ms, the most that may" in shown
    assert "requests that reached no batch: too_large 1" in shown
    assert json.loads(sluice_show(session, "--json"))["batching"]["refused_requests"] == {"too_large": 1}


def test_a_model_that_is_unknown_or_has_not_run_is_told_so(session: SluiceUp) -> None:
    status, body = told(session, "GET", "/api/v1/models/nothing/batching")
    assert (status, body) == (404, {"error": "there is no model 'nothing'; known are ['doubler']"})
    assert "direct, version 1 in pool gateway: no run was seen yet; a batch of n rows is expected" in sluice_show(
        session
    )


def test_a_rolled_worker_and_the_next_session_begin_with_the_estimate(
    session: SluiceUp, arguments: tuple[str, ...]
) -> None:
    before = learned(session)
    assert sluice(session, "restart").returncode == 0
    assert first(session)["estimate"] == {**before, "runs": 0}
    session.close()
    for again in running(*arguments):
        assert first(again)["estimate"] == {**before, "runs": 0}
        assert known(again) == before


def test_a_replaced_model_begins_anew_in_the_same_session_and_in_the_next(
    session: SluiceUp, arguments: tuple[str, ...]
) -> None:
    before = learned(session)
    assert sluice(session, "models", "unload", "doubler", "1").returncode == 0
    file = Path(arguments[1]) / "doubler" / "1" / "model.onnx"
    shutil.copy(file, file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)
    assert sluice(session, "models", "load", "doubler", "1").returncode == 0
    anew = first(session)["estimate"]
    assert anew["runs"] == 0
    assert parts_of(anew) != before
    after = learned_again(session)
    session.close()
    file.touch()
    for again in running(*arguments):
        found = first(again)["estimate"]
        assert found["runs"] == 0
        assert parts_of(found) not in (before, after)


def learned_again(session: SluiceUp) -> dict[str, float]:
    for _ in range(5):
        assert ask(session) == 200
    return parts_of(first(session)["estimate"])


def sluice_show(session: SluiceUp, *more: str) -> str:
    """What `sluice models show` prints."""
    where = environment(TMPDIR=str(session.folder / "tmp"), XDG_RUNTIME_DIR=str(session.folder / "run"))
    command = [*PROGRAM, "models", "show", "doubler", "--url", session.url, *more]
    ended = subprocess.run(command, env=where, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return ended.stdout
