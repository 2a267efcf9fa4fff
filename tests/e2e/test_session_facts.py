"""What any worker tells of the whole session, and what the token's owner changes on the port of predictions."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from serving.testing.models import ZOO, doubler, mlp, save
from tests.e2e.doubling import PATH, dividing, doubling, save_models
from tests.e2e.http_client import Connection, Reply
from tests.e2e.parts import PATIENCE_S, WORKER, parts, until
from tests.e2e.scrape import Scrape
from tests.e2e.sluice_up import SluiceUp
from tests.integration.standstill import stop

REPOSITORY = "/v2/repository/models"
# No rows, one value, inputs with defaults, rows of any length.
ODD = ("total", "scalar", "with-default", "open-length")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session's repository."""
    folder = save_models(tmp_path_factory.mktemp("models"))
    for name in ODD:
        save(folder, name, 1, ZOO[name]())
    return folder


@pytest.fixture(scope="module")
def session(root: Path) -> Iterator[SluiceUp]:
    """Two workers, and a port of predictions that the token opens."""
    config = root.with_name("sluice.yaml")
    config.write_text(json.dumps({"http": {"repository_api": "token"}}))
    session = SluiceUp("--models", str(root), "--config", str(config), "--workers", "2", engine="in-process")
    try:
        yield session.wait_until_ready()
        session.close()
    finally:
        session.destroy()


def ask(session: SluiceUp, method: str, path: str, document: object = None, *, token: bool = True) -> Reply:
    """One request on a connection of its own, so that any worker may answer it."""
    body = b"" if document is None else json.dumps(document).encode()
    secret = Path(str(session.registered()["token_file"])).read_text().strip()
    with session.connect() as connection:
        return connection.request(method, path, body, {"authorization": f"Bearer {secret}"} if token else {})


def order(session: SluiceUp, model: str, verb: str, **parameters: object) -> Reply:
    return ask(session, "POST", f"{REPOSITORY}/{model}/{verb}", {"parameters": parameters} if parameters else None)


def statistics(session: SluiceUp, path: str = "/v2/models/doubler/stats") -> dict[tuple[str, str], dict[str, Any]]:
    found = ask(session, "GET", path).json()["model_stats"]
    return {(one["name"], one["version"]): one for one in found}


def index(session: SluiceUp) -> dict[tuple[str, str], tuple[str, str]]:
    entries = ask(session, "POST", "/v2/repository/index", token=False).json()
    return {(entry["name"], entry["version"]): (entry["state"], entry["reason"]) for entry in entries}


def answers(session: SluiceUp, version: int) -> int:
    return ask(session, "POST", f"/v2/models/doubler/versions/{version}/infer", json.loads(doubling(1).body)).status


def counted(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, int]:
    """What was counted between two looks at a version."""
    stages = {
        name: after["inference_stats"][name]["count"] - before["inference_stats"][name]["count"]
        for name in after["inference_stats"]
    }
    return stages | {name: after[name] - before[name] for name in ("inference_count", "execution_count")}


@contextlib.contextmanager
def connected_to(session: SluiceUp, worker: psutil.Process) -> Iterator[Connection]:
    """A connection that this worker has taken, which an answer on it proves."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        with session.connect() as connection:
            assert connection.get("/v2").status == 200
            if connection.port in {each.raddr.port for each in worker.net_connections("tcp") if each.raddr}:
                yield connection
                return
        # A worker that was just started accepts nothing yet.
        time.sleep(0.05)
    raise AssertionError("the worker took no connection")


def test_statistics_differ_by_exactly_what_was_sent_whichever_worker_is_asked(session: SluiceUp) -> None:
    (before,) = statistics(session).values()
    sizes = [1, 3, 2] * 10
    for number, rows in enumerate(sizes):
        data = [[number, 1, 2, 3]] * rows
        tensor = {"name": "x", "shape": [rows, 4], "datatype": "FP32", "data": data}
        assert ask(session, "POST", PATH, {"inputs": [tensor]}).status == 200
    after = before
    for _ in range(8):
        (after,) = statistics(session, "/v2/models/doubler/versions/1/stats").values()
        change = counted(before, after)
        assert (change["inference_count"], change["execution_count"]) == (sum(sizes), len(sizes))
        stages = ("success", "queue", "compute_input", "compute_infer", "compute_output")
        assert [change[stage] for stage in stages] == [len(sizes)] * 5
        assert change["fail"] == 0
    spent = after["inference_stats"]
    parts_ns = sum(spent[stage]["ns"] for stage in ("queue", "compute_input", "compute_infer", "compute_output"))
    assert 0 < parts_ns <= spent["success"]["ns"] * 1.01
    batches = {each["batch_size"]: each["compute_infer"]["count"] for each in after["batch_stats"]}
    earlier = {each["batch_size"]: each["compute_infer"]["count"] for each in before["batch_stats"]}
    assert {rows: batches[rows] - earlier.get(rows, 0) for rows in (1, 2, 3)} == {1: 10, 2: 10, 3: 10}
    assert after["last_inference"] > before["last_inference"] > 1_600_000_000_000


def test_requests_that_a_version_did_not_answer_are_failures_of_it(session: SluiceUp) -> None:
    (before,) = statistics(session, "/v2/models/divides/stats").values()
    assert ask(session, "POST", "/v2/models/divides/infer", dividing(6, 3)).status == 200
    assert ask(session, "POST", "/v2/models/divides/infer", dividing(6, 0)).status == 500
    assert ask(session, "POST", "/v2/models/divides/infer", {"inputs": dividing(6, 3)["inputs"][:1]}).status == 400  # type: ignore[index]
    (after,) = statistics(session, "/v2/models/divides/stats").values()
    change = counted(before, after)
    assert (change["success"], change["fail"], change["inference_count"]) == (1, 2, 1)


def test_a_worker_that_ended_stays_counted(session: SluiceUp) -> None:
    (before,) = statistics(session).values()
    victims = parts(session, WORKER)
    os.kill(victims[0].pid, signal.SIGTERM)
    until(lambda: not victims[0].is_running() and len(parts(session, WORKER)) == 2, "its successor")
    (after,) = statistics(session).values()
    assert after == before
    assert set(statistics(session, "/v2/models/stats")) == {(name, "1") for name in ("doubler", "divides", *ODD)}
    assert ask(session, "GET", "/v2/models/doubler/versions/9/stats").status == 404


def test_a_worker_that_hangs_stands_with_its_last_report(session: SluiceUp) -> None:
    before = statistics(session)
    answered = sum(one["inference_stats"]["success"]["count"] for one in before.values())
    until(
        lambda: Scrape(session).total("sluice_requests_total", model="doubler", outcome="ok") == answered,
        "both have reported all of it",
    )
    hung, other = parts(session, WORKER)[:2]
    with connected_to(session, other) as connection:
        stop(hung.pid)
        try:
            answer = connection.get("/v2/models/doubler/stats")
        finally:
            hung.send_signal(signal.SIGCONT)
    assert {(one["name"], one["version"]): one for one in answer.json()["model_stats"]} == before


def test_a_model_is_loaded_with_its_versions_and_limits_and_unloaded_whole(session: SluiceUp, root: Path) -> None:
    for version in (2, 3):
        save(root, "doubler", version, doubler())
    save(root, "tiny", 1, mlp())
    assert index(session) == {
        **{(name, "1"): ("READY", "") for name in ODD},
        ("divides", "1"): ("READY", ""),
        ("doubler", "1"): ("READY", ""),
        ("doubler", "2"): ("UNAVAILABLE", "not loaded"),
        ("doubler", "3"): ("UNAVAILABLE", "not loaded"),
        ("tiny", "1"): ("UNAVAILABLE", "not loaded"),
    }
    # The highest one, where nothing is said of versions; who answers by default stays.
    assert order(session, "doubler", "load").status == 200
    assert [answers(session, version) for version in (1, 2, 3)] == [200, 404, 200]
    assert ask(session, "GET", "/v1/models/doubler").json()["version"] == "1"
    config = {"version_policy": {"specific": {"versions": [1, 2]}}, "max_batch_size": 5}
    assert order(session, "doubler", "load", config=json.dumps(config)).status == 200
    assert [answers(session, version) for version in (1, 2, 3)] == [200, 200, 404]
    assert [
        ask(session, "GET", f"/v2/models/doubler/versions/{v}/config").json()["max_batch_size"] for v in (1, 2)
    ] == [5, 5]
    refused = order(session, "doubler", "load", config=json.dumps({"version_policy": {"specific": {"versions": [3]}}}))
    assert (refused.status, "version 1" in refused.error) == (409, True)
    refused = order(session, "doubler", "load", config=json.dumps({"instance_group": [{"count": 2}]}))
    assert (refused.status, "instance_group" in refused.error) == (400, True)
    assert order(session, "tiny", "load").status == 200
    assert order(session, "doubler", "unload").status == 200
    assert [answers(session, version) for version in (1, 2)] == [404, 404]
    assert order(session, "doubler", "unload").status == 404
    policy = {"version_policy": {"latest": {"num_versions": 2}}}
    assert order(session, "doubler", "load", config=json.dumps(policy)).status == 200
    assert [answers(session, version) for version in (1, 2, 3)] == [404, 200, 200]
    assert order(session, "doubler", "load", config=json.dumps({"version_policy": {"all": {}}})).status == 200
    assert ask(session, "GET", "/v1/models/doubler").json()["version"] == "3"
    assert order(session, "tiny", "unload").status == 200
    assert order(session, "nobody", "load").status == 404


def test_a_model_that_comes_as_files_is_written_whole_or_not_at_all(session: SluiceUp, root: Path) -> None:
    def files(path: str, content: bytes) -> dict[str, str]:
        return {f"file:{path}": base64.b64encode(content).decode()}

    model = doubler().SerializeToString()
    assert order(session, "given", "load", **files("7/model.onnx", model)).status == 200
    assert (root / "given" / "7" / "model.onnx").read_bytes() == model
    body = json.loads(doubling(3).body)
    assert ask(session, "POST", "/v2/models/given/versions/7/infer", body).json()["outputs"][0]["data"] == [6, 2, 4, 6]
    again = order(session, "given", "load", **files("7/model.onnx", model))
    assert (again.status, "given/7" in again.error) == (409, True)
    broken = order(session, "given", "load", **files("8/model.onnx", b"no model"))
    assert broken.status >= 400
    fresh = order(session, "fresh", "load", **files("1/model.onnx", b"no model"))
    assert fresh.status >= 400
    for path in ("../2/model.onnx", "1/../../x", "/1/model.onnx", "model.onnx", "1/./model.onnx", "01/model.onnx"):
        escaped = order(session, "given", "load", **files(path, model))
        assert (escaped.status, escaped.error[:5]) == (400, "file "), path
    for name in ("..", ".hidden", "a%2Fb"):
        assert order(session, name, "load", **files("1/model.onnx", model)).status == 400, name
    assert order(session, "given", "load", **files("9/other.onnx", model)).status == 400
    assert sorted(path.name for path in root.iterdir()) == sorted(["divides", "doubler", "given", "tiny", *ODD])
    assert [path.name for path in (root / "given").iterdir()] == ["7"]


def test_every_worker_logs_as_the_tokens_owner_wants(session: SluiceUp) -> None:
    settings = ask(session, "GET", "/v2/logging", token=False).json()
    assert settings["log_info"] is True
    assert ask(session, "POST", "/v2/logging", {"log_info": False}, token=False).status == 401
    assert ask(session, "POST", "/v2/logging", {"log_info": False}).json() == {**settings, "log_info": False}
    for _ in range(4):
        assert ask(session, "GET", "/v2/logging").json()["log_info"] is False
    assert ask(session, "POST", "/v2/logging", {"log_info": True}).json() == settings


def test_nothing_is_changed_without_the_token(session: SluiceUp) -> None:
    before = index(session)
    for path in (f"{REPOSITORY}/divides/unload", f"{REPOSITORY}/divides/load"):
        refused = ask(session, "POST", path, token=False)
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert index(session) == before


def tensor(name: str, shape: list[int], data: list[float]) -> dict[str, object]:
    return {"name": name, "shape": shape, "datatype": "FP32", "data": data}


X = tensor("x", [1, 4], [1, 2, 3, 4])
OFFSET = tensor("offset", [4], [10, 20, 30, 40])


@pytest.mark.parametrize(
    ("model", "inputs", "shape", "data"),
    [
        ("with-default", [X], [1, 4], [2, 4, 6, 8]),
        ("with-default", [tensor("factor", [], [3]), X], [1, 4], [3, 6, 9, 12]),
        ("with-default", [X, OFFSET], [1, 4], [12, 24, 36, 48]),
        ("with-default", [OFFSET, X, tensor("factor", [], [-1])], [1, 4], [9, 18, 27, 36]),
        ("with-default", [tensor("x", [0, 4], []), tensor("factor", [], [3])], [0, 4], []),
        ("scalar", [tensor("x", [], [41])], [], [42]),
        ("total", [tensor("x", [0, 2], [])], [], [0]),
        ("total", [tensor("x", [2, 2], [1, 2, 3, 4])], [], [10]),
    ],
)
def test_inputs_with_defaults_single_values_and_nothing_at_all(
    session: SluiceUp, model: str, inputs: list[object], shape: list[int], data: list[float]
) -> None:
    (answer,) = ask(session, "POST", f"/v2/models/{model}/infer", {"inputs": inputs}).json()["outputs"]
    assert (answer["shape"], answer["data"]) == (shape, data)


def test_an_optional_input_is_listed_and_the_others_stay_required(session: SluiceUp) -> None:
    listed = ask(session, "GET", "/v2/models/with-default").json()["inputs"]
    assert [one["name"] for one in listed] == ["x", "factor", "offset"]
    told = ask(session, "GET", "/v2/models/with-default/config").json()["input"]
    assert [(one["name"], one["dims"], one["optional"]) for one in told] == [
        ("x", [4], False),
        ("factor", [], True),
        ("offset", [4], True),
    ]
    refused = ask(session, "POST", "/v2/models/with-default/infer", {"inputs": [OFFSET]})
    assert (refused.status, "'x'" in refused.error) == (400, True)
    refused = ask(session, "POST", "/v2/models/open-length/infer", {"inputs": [tensor("x", [0, 3], [])]})
    assert (refused.status, "no rows" in refused.error) == (400, True)
