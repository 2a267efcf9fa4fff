"""Two sessions that share a control Redis: every worker splits alike, and of two controllers one acts."""

from __future__ import annotations

import json
import logging
import os
import platform
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from onnx import ModelProto, TensorProto

from serving.processes.embedded_state import valkey_program
from serving.routing.split import bucket_of
from serving.state import keys
from serving.testing.models import CRASH, divides, doubler, echo, graph_of, node, save, value
from tests.e2e.doubling import LONG, dividing
from tests.e2e.http_client import PATIENT, Connection, Hangup, Reply, request_bytes
from tests.e2e.parts import WORKER, parts, until
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.test_rollouts import CONTROL_APP
from tests.e2e.test_versions_under_load import told

log = logging.getLogger(__name__)

KEYS = [f"user-{number}" for number in range(20_000 if LONG else 2_000)]
WEIGHTS = (1, 5, 10, 20, 35, 50, 75, 99)
PLAN = {"steps": [{"weight": weight, "duration": "1h"} for weight in WEIGHTS]}
PATH = "/v2/models/echoes/infer"
DIVIDES = "/v2/models/divides/infer"
ROWS = [[float(row)] * 4 for row in range(1, 5)]
BODY = json.dumps({"inputs": [{"name": "x", "shape": [4, 4], "datatype": "FP32", "data": ROWS}]}).encode()
AT_ONCE = 40
JUDGES = "another control app judges rollouts"


@dataclass
class Fleet:
    """`first` has two workers, `second` one; both have a control app."""

    first: SluiceUp
    second: SluiceUp
    state: redis.Redis


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Version 1 of `echoes` answers what it is asked, version 2 twice that; `divides` crashes in version 2."""
    folder = tmp_path_factory.mktemp("f")
    save(folder / "models", "echoes", 1, echo(TensorProto.FLOAT, 4))
    save(folder / "models", "echoes", 2, doubler())
    for version, model in ((1, _sums()), (2, divides())):
        save(folder / "models", "divides", version, model)
    socket = folder / "v.sock"
    flags = ("--port", "0", "--unixsocket", str(socket), "--save", "")
    valkey = subprocess.Popen([str(valkey_program()), *flags], stdout=subprocess.DEVNULL)
    sessions: list[SluiceUp] = []
    try:
        for workers in (2, 1):
            config = folder / f"{workers}.yaml"
            state = {"control_url": f"unix://{socket}", "rollouts": True}
            models = {name: {"routes": {"stable": 1}} for name in ("echoes", "divides")}
            # JSON is YAML.
            config.write_text(json.dumps({"state": state, "models": models, "http": {"workers": workers}}))
            sessions.append(SluiceUp("--models", str(folder / "models"), "--config", str(config)))
        for session in sessions:
            session.wait_until_ready()
            until(partial(parts, session, CONTROL_APP), "its control app runs")
        yield Fleet(sessions[0], sessions[1], redis.Redis.from_url(f"unix://{socket}"))
        for session in sessions:
            session.close()
    finally:
        for session in sessions:
            session.destroy()
        valkey.kill()
        valkey.wait()


def _sums() -> ModelProto:
    """As `divides`, but for what it does with the two numbers."""
    inputs = [value(name, TensorProto.INT64, ["n", 1]) for name in ("x", "by")]
    return graph_of([node("Add", ["x", "by"], ["y"])], inputs, [value("y", TensorProto.INT64, ["n", 1])])


def order(session: SluiceUp, path: str, document: object = None) -> dict[str, Any]:
    """One POST to a control API; what it objects is an AssertionError."""
    facts = session.registered()
    headers = {
        "authorization": f"Bearer {Path(str(facts['token_file'])).read_text().strip()}",
        "content-type": "application/json",
    }
    body = None if document is None else json.dumps(document).encode()
    url = f"http://127.0.0.1:{facts['control_port']}/api/v1/{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST"), timeout=30) as answer:
            done: dict[str, Any] = json.loads(answer.read())
            return done
    except urllib.error.HTTPError as refused:
        with refused:
            raise AssertionError(refused.read().decode()) from None


def judges_not(session: SluiceUp) -> bool:
    """Another control app has the lease."""
    try:
        order(session, "rollouts:unfreeze")
    except AssertionError as refused:
        return JUDGES in str(refused)
    return False


def begin(fleet: Fleet) -> tuple[SluiceUp, SluiceUp, str]:
    """The session whose control app acts, the other one, and the rollout, once its first step has begun."""
    until(lambda: fleet.state.get(keys.CONTROLLER) is not None, "somebody judges")
    acts, other, rollout = started(fleet, "echoes", {"canary": 2, "plan": PLAN, "sticky": True})
    while phase(acts, rollout) == "measuring":
        arms(fleet.first, KEYS[:200])
    until(lambda: in_force(fleet, WEIGHTS[0]), "the first weight is in the table")
    wanted = {key for key in KEYS[:200] if bucket_of(rollout, key.encode()) < 100 * WEIGHTS[0]}

    def known() -> bool:
        return arms(fleet.first, KEYS[:200]) == arms(fleet.second, KEYS[:200]) == wanted

    until(known, "and in every worker")
    return acts, other, rollout


def started(fleet: Fleet, model: str, new: dict[str, object]) -> tuple[SluiceUp, SluiceUp, str]:
    """Start it at the session whose control app judges; on a busy machine that may just have become the other one."""
    found: list[tuple[SluiceUp, SluiceUp, str]] = []

    def starts() -> bool:
        for acts, other in ((fleet.first, fleet.second), (fleet.second, fleet.first)):
            if not found and not judges_not(acts):
                try:
                    found.append((acts, other, order(acts, f"models/{model}/rollouts", new)["id"]))
                except AssertionError as refused:
                    assert JUDGES in str(refused)  # noqa: PT017 - any other objection is one
        return bool(found)

    until(starts, "one of both judges")
    return found[0]


def seen(session: SluiceUp, rollout: str) -> dict[str, Any]:
    return told(session, f"rollouts/{rollout}")


def phase(session: SluiceUp, rollout: str) -> str:
    return str(seen(session, rollout)["phase"])


def arm(reply: Reply) -> str:
    """The variant that answered; every row of the answer is of its version."""
    assert reply.status == 200, reply.body
    times = int(reply.headers["x-sluice-version"])
    assert reply.json()["outputs"][0]["data"] == [times * value for row in ROWS for value in row]
    assert reply.headers["x-sluice-variant"] == {1: "stable", 2: "canary"}[times]
    return reply.headers["x-sluice-variant"]


def ask(key: str) -> bytes:
    return request_bytes("POST", PATH, BODY, {"x-sluice-key": key, **PATIENT})


def arms(session: SluiceUp, wanted: list[str]) -> set[str]:
    """Keys that got the canary; asked over several connections, which the session's workers share."""
    found = set()
    connections = [session.connect() for _ in range(8)]
    for place in range(0, len(wanted), AT_ONCE):
        connection, some = connections[place // AT_ONCE % len(connections)], wanted[place : place + AT_ONCE]
        connection.send(b"".join(map(ask, some)))
        found |= {key for key in some if arm(connection.read()) == "canary"}
    for connection in connections:
        connection.close()
    return found


def in_force(fleet: Fleet, weight: float) -> bool:
    """Whether the canary's share is so much in the table, which workers have in a moment."""
    return any(one["variant"] == "canary" and one["weight_bp"] == 100 * weight for one in splits(fleet))


def switched(session: SluiceUp, key: str, since: float, times: list[float]) -> None:
    """Ask for one key until the canary answers; how long after `since` that was."""
    with Connection(session.port) as connection:
        while True:
            connection.send(ask(key))
            if arm(connection.read()) == "canary":
                times.append(time.monotonic() - since)
                return


@pytest.mark.timeout(600 if LONG else 180)
def test_no_key_leaves_a_growing_canary_in_any_worker_and_a_table_reaches_every_worker(fleet: Fleet) -> None:
    acts, _, rollout = begin(fleet)
    before: set[str] = set()
    took: list[float] = []
    for place, weight in enumerate(WEIGHTS):
        assert in_force(fleet, weight)
        now = arms(fleet.first, KEYS)
        assert now == {key for key in KEYS if bucket_of(rollout, key.encode()) < 100 * weight}
        assert before <= now
        # Five standard deviations of a binomial share.
        share = weight / 100
        assert abs(len(now) / len(KEYS) - share) < 5 * (share * (1 - share) / len(KEYS)) ** 0.5
        assert arms(fleet.second, KEYS[:200]) == now & set(KEYS[:200])
        before = now
        if place == len(WEIGHTS) // 2:
            parts(fleet.first, WORKER)[0].kill()
            os.kill(fleet.first.pid, signal.SIGHUP)
            fleet.first.wait_for_log("every gateway worker was replaced")
            assert arms(fleet.first, KEYS) == now
        if weight != WEIGHTS[-1]:
            took.append(grown(fleet, acts, rollout, WEIGHTS[place + 1]))
    log.info("from the order to the last worker: %s ms", [round(1e3 * one) for one in took])
    order(acts, f"rollouts/{rollout}:abort")
    until(lambda: arms(fleet.first, KEYS[:200]) == set(), "all is with stable again")


def grown(fleet: Fleet, acts: SluiceUp, rollout: str, weight: int) -> float:
    """Go on to the next weight; seconds from the order to the last worker that goes by it."""
    (old,) = (split["weight_bp"] for split in splits(fleet) if split["variant"] == "canary")
    numbers = (bucket_of(rollout, key.encode()) for key in KEYS)
    key = next(key for key, bucket in zip(KEYS, numbers, strict=True) if old <= bucket < 100 * weight)
    times: list[float] = []
    began = time.monotonic()
    askers = [
        threading.Thread(target=switched, args=(session, key, began, times))
        for session, count in ((fleet.first, 16), (fleet.second, 1))
        for _ in range(count)
    ]
    for asker in askers:
        asker.start()
    order(acts, f"rollouts/{rollout}:promote")
    for asker in askers:
        asker.join(20)
    assert len(times) == len(askers), "a worker never went by the new table"
    return max(times)


def splits(fleet: Fleet) -> list[dict[str, Any]]:
    routes = json.loads(fleet.state.get(keys.TABLE) or b"{}")["routes"]
    found: list[dict[str, Any]] = next(route["splits"] for route in routes if route["model"] == "echoes")
    return found


@pytest.mark.timeout(120)
def test_of_two_controllers_one_acts_and_one_that_stood_still_changes_nothing_when_it_goes_on(fleet: Fleet) -> None:
    acts, other, rollout = begin(fleet)
    with pytest.raises(AssertionError, match=JUDGES):
        order(other, f"rollouts/{rollout}:pause")
    (stopped,) = parts(acts, CONTROL_APP)
    number = int(fleet.state.get(keys.CONTROLLER_NUMBER) or 0)
    stopped.suspend()
    try:
        until(lambda: int(fleet.state.get(keys.CONTROLLER_NUMBER) or 0) > number, "the other one takes over")
        assert order(other, f"rollouts/{rollout}:promote")["step"] == 1
        assert in_force(fleet, WEIGHTS[1])
        told_before = fleet.state.lrange(keys.audit(rollout), 0, -1)
    finally:
        stopped.resume()
    # Several of its looks.
    until(lambda: phase(acts, rollout) == "step", "it answers again")
    for _ in range(4):
        with pytest.raises(AssertionError, match=JUDGES):
            order(acts, f"rollouts/{rollout}:abort")
        time.sleep(1)
    assert in_force(fleet, WEIGHTS[1])
    assert fleet.state.lrange(keys.audit(rollout), 0, -1) == told_before
    assert int(fleet.state.get(keys.CONTROLLER_NUMBER) or 0) == number + 1
    order(other, f"rollouts/{rollout}:abort")


@pytest.mark.timeout(120)
@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors answer this quotient")
def test_a_version_that_takes_a_gateway_worker_along_is_rolled_back_at_once(fleet: Fleet) -> None:
    plan = {"steps": [{"weight": 50, "duration": "1h"}]}
    acts, _, rollout = started(fleet, "divides", {"canary": 2, "plan": plan, "sticky": False})
    calm = request_bytes("POST", DIVIDES, json.dumps(dividing(8, 2)).encode(), PATIENT)
    with fleet.first.connect() as connection:
        while phase(acts, rollout) == "measuring":
            connection.send(calm * AT_ONCE)
            assert {connection.read().status for _ in range(AT_ONCE)} == {200}
    # Whoever gets the canary: half of all do, and either session's supervisor finds the worker dead.
    while not died(fleet.second):
        pass
    until(lambda: seen(acts, rollout)["phase"] == "rolled_back", "it is rolled back")
    found = seen(acts, rollout)
    assert (found["reason"], found["weight_percent"]) == ("hard_stop", 0)
    assert found["sentence"].endswith("gateway workers died in runs of the canary's version: 1, of the stable one's 0")
    assert "signal SIGFPE, while it ran divides/2" in fleet.second.logs()
    with fleet.first.connect() as connection:

        def all_with_stable() -> bool:
            connection.send(calm * AT_ONCE)
            return {connection.read().headers["x-sluice-version"] for _ in range(AT_ONCE)} == {"1"}

        # Workers have the table a moment after it is in force.
        until(all_with_stable, "no request gets the canary any more")
        assert connection.post(DIVIDES, dividing(*CRASH)).headers["x-sluice-version"] == "1"


def died(session: SluiceUp) -> bool:
    """A worker did, of the one quotient that is no number."""
    try:
        with session.connect() as connection:
            return connection.post(DIVIDES, dividing(*CRASH)).status != 200
    except (Hangup, ConnectionError):
        return True
