"""Alerts that a session without Ray can show: its configuration, its quiet load, and how each alert is provoked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import redis
from onnx import TensorProto

from serving.cli.control_client import ControlClient
from serving.cli.failure import CommandFailed
from serving.testing.load_client import Load, Question, running
from serving.testing.models import doubler, echo, raises_on_13, save, slow
from tests.e2e.parts import WORKER, parts, until
from tests.e2e.provocation import Provocation, repeated
from tests.e2e.sluice_up import SluiceUp
from tests.integration.standstill import stop

CONTROL_APP = "serving.processes.control_worker"
COLUMNS = ("a", "b", "c", "d")
# One run of it takes some 40 ms: alone it is in time, eight at once are not.
GOAL_MS = 200
CALLERS_AT_ONCE = 8
MEASURED_WITHIN_S = 90.0
CONFIG: dict[str, Any] = {
    "features": {"near_cache": {"max_mb": 1, "ttl": "1s", "stale_for": "10m"}},
    "feature_views": {"row": {"entity": ["id"], "features": {name: {"default": 1.0} for name in COLUMNS}}},
    "models": {
        "doubler": {"inputs": [{"name": "x", "features": [f"row.{name}" for name in COLUMNS]}]},
        "slow": {"latency_slo_ms": GOAL_MS, "batching": {"max_rows": 1}},
        "echoes": {"routes": {"stable": 1}},
    },
}


def write_session(folder: Path) -> tuple[str, ...]:
    """Models and configuration; what `sluice up` is started with."""
    save(folder / "models", "doubler", 1, doubler())
    save(folder / "models", "slow", 1, slow(rounds=8_000))
    save(folder / "models", "raises", 1, raises_on_13())
    save(folder / "models", "echoes", 1, echo(TensorProto.FLOAT, 1))
    save(folder / "models", "echoes", 2, raises_on_13())
    # JSON is YAML.
    (folder / "sluice.yaml").write_text(json.dumps(CONFIG))
    return ("--models", str(folder / "models"), "--config", str(folder / "sluice.yaml"), "--rollouts")


def write_row(session: SluiceUp) -> None:
    """The row of the id that is asked for."""
    rows = {"rows": [{"key": ["7"], "values": dict.fromkeys(COLUMNS, 1.5)}]}
    _api(session).post("/features/row", {}, rows)


@contextmanager
def asked(session: SluiceUp, *, also_slow: bool) -> Iterator[None]:
    """Models are asked, a few times a second, for what they can answer; new connections, as workers end.

    `also_slow` is for a machine that has nothing else to do: elsewhere its goal is missed without any provocation.
    """
    well = [_by_id(7), _echoed("raises", 1.0), _echoed("echoes", 1.0), *([_doubled()] if also_slow else [])]
    with running(_load(session, lambda number: well[number % len(well)], rate=20.0)):
        yield


def _by_id(entity: int) -> Question:
    return Question("/v1/models/doubler:predict", json.dumps({"instances": [{"id": entity}]}).encode(), _any)


def _echoed(model: str, number: float) -> Question:
    tensor = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [number]}
    return Question(f"/v2/models/{model}/infer", json.dumps({"inputs": [tensor]}).encode(), _any)


def _doubled() -> Question:
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
    # Enough to wait, so that what is late is not refused.
    return Question(
        "/v2/models/slow/infer", json.dumps({"inputs": [tensor]}).encode(), _any, "x-request-timeout-ms: 5000\r\n"
    )


def _any(_body: bytes) -> bool:
    return True


def _load(session: SluiceUp, question: Any, **how: Any) -> Load:
    return Load(session.port, question, most=10_000_000, for_s=3_600, fresh="rate" in how, **how)


@contextmanager
def _also_asked(session: SluiceUp, question: Question, **how: Any) -> Iterator[None]:
    with running(_load(session, lambda _number: question, **how)):
        yield


@contextmanager
def _failing(session: SluiceUp) -> Iterator[None]:
    with _also_asked(session, _echoed("raises", 13.0), rate=5.0):
        yield


@contextmanager
def _late(session: SluiceUp) -> Iterator[None]:
    with _also_asked(session, _doubled(), callers=CALLERS_AT_ONCE):
        yield


@contextmanager
def _unknown_ids(session: SluiceUp) -> Iterator[None]:
    with _also_asked(session, _by_id(8), rate=10.0):
        yield


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """SIGSTOP, and SIGCONT afterwards."""
    stop(process.pid)
    try:
        yield
    finally:
        process.resume()


@contextmanager
def _store_stands_still(session: SluiceUp) -> Iterator[None]:
    (store,) = parts(session, "features.sock")
    with stopped(store):
        yield


@contextmanager
def _no_tracking(session: SluiceUp) -> Iterator[None]:
    with redis.Redis(unix_socket_path=str(session.run_dir / "features.sock")) as store:
        store.execute_command("ACL", "SETUSER", "default", "-client|tracking")
        store.execute_command("CLIENT", "KILL", "TYPE", "normal")
        try:
            yield
        finally:
            store.execute_command("ACL", "SETUSER", "default", "+client|tracking")


@contextmanager
def _three_crashes(session: SluiceUp) -> Iterator[None]:
    for _ in range(3):
        (worker,) = parts(session, WORKER)
        worker.kill()
        until(lambda old=worker.pid: [one.pid for one in parts(session, WORKER)] not in ([], [old]), "another")  # type: ignore[misc]
        # One that was started, and accepts: what is killed before is the same crash to Prometheus.
        time.sleep(1.5)
    yield


@contextmanager
def killed_as_they_appear(session: SluiceUp, words: str) -> Iterator[None]:
    """Every process of the session with these words, again and again."""

    def kill() -> None:
        for one in parts(session, words):
            with suppress(psutil.NoSuchProcess):
                one.kill()

    with repeated(kill):
        yield


@contextmanager
def _no_workers(session: SluiceUp) -> Iterator[None]:
    with killed_as_they_appear(session, WORKER):
        yield


@contextmanager
def _supervisor_stands_still(session: SluiceUp) -> Iterator[None]:
    with stopped(psutil.Process(session.pid)):
        yield


def _api(session: SluiceUp) -> ControlClient:
    facts = session.registered()
    token = Path(str(facts["token_file"])).read_text().strip()
    return ControlClient(f"http://127.0.0.1:{facts['control_port']}", token)


def _rollout(session: SluiceUp, version: int) -> tuple[ControlClient, str]:
    api = _api(session)
    plan = {"steps": [{"weight": 50, "duration": "5m"}]}
    body = {"canary": version, "plan": plan, "sticky": False, "dry_run": False, "by": "a test"}
    rollout = str(api.post("/models/echoes/rollouts", {}, body)["id"])
    until(
        lambda: api.get(f"/rollouts/{rollout}")["phase"] == "step", "the stable version was measured", MEASURED_WITHIN_S
    )
    return api, rollout


@contextmanager
def _paused(session: SluiceUp) -> Iterator[None]:
    api, rollout = _rollout(session, 2)
    api.post(f"/rollouts/{rollout}:pause", {"by": "a test"})
    try:
        yield
    finally:
        api.post(f"/rollouts/{rollout}:abort", {"by": "a test"})


@contextmanager
def _forsaken(session: SluiceUp) -> Iterator[None]:
    api, rollout = _rollout(session, 2)
    # Its phase is told every five seconds.
    time.sleep(6)
    (app,) = parts(session, CONTROL_APP)
    with stopped(app):
        yield
    until(lambda: _obeys(api, f"/rollouts/{rollout}:abort"), "the controller has its office again")


@contextmanager
def _rolled_back(session: SluiceUp) -> Iterator[None]:
    api, rollout = _rollout(session, 2)
    with _also_asked(session, _echoed("echoes", 13.0), rate=20.0):
        until(lambda: api.get(f"/rollouts/{rollout}")["phase"] == "rolled_back", "it is rolled back", 120)
    yield


def _obeys(api: ControlClient, path: str) -> bool:
    with suppress(CommandFailed):
        api.post(path, {"by": "a test"})
        return True
    return False


ERRORS = Provocation(("SluiceErrorsFast",), "a model is sent, five times a second, a row on which it raises", _failing)
ERRORS_SLOW = Provocation(("SluiceErrorsSlow",), ERRORS.how, _failing, by=720)
LATE = Provocation(
    ("SluiceLateFast", "SluiceQueueDelay"),
    f"{CALLERS_AT_ONCE} callers at once ask a model of 40 ms a run with `batching.max_rows: 1` and "
    f"`latency_slo_ms: {GOAL_MS}`, with `x-request-timeout-ms: 5000`",
    _late,
)
LATE_SLOW = Provocation(("SluiceLateSlow",), LATE.how, _late, by=720)
MISSING = Provocation(("SluiceFeaturesMissing",), "two of three requests by id name one without a row", _unknown_ids)
AWAY = Provocation(("SluiceFeaturesAway",), "SIGSTOP to the features store, with requests", _store_stands_still)
DEAF = Provocation(
    ("SluiceNearCacheDeaf",), "`ACL SETUSER default -client\\|tracking`, then `CLIENT KILL TYPE normal`", _no_tracking
)
CRASHES = Provocation(("SluiceCrashes",), "SIGKILL to the gateway's worker, three times", _three_crashes)
NO_WORKERS = Provocation(("SluiceNoWorkers",), "SIGKILL to each worker as soon as it appears", _no_workers)
DOWN = Provocation(("SluiceDown",), "SIGSTOP to the supervisor", _supervisor_stands_still)
WAITS = Provocation(("SluiceRolloutWaits",), "a rollout is started and paused", _paused)
FORSAKEN = Provocation(("SluiceRolloutForsaken",), "SIGSTOP to the control app during a rollout", _forsaken)
ROLLED_BACK = Provocation(
    ("SluiceRolledBack",),
    "a version that raises on some rows is rolled out, and sent some of them",
    _rolled_back,
    # It is told of for ten minutes, which no rule shortens.
    clears_within_s=660.0,
)
