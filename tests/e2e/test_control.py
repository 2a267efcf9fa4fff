"""The control API of a real session: who may change it, and what becomes of versions that come and go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.testing.models import divides, doubler, save
from tests.e2e.doubling import save_models
from tests.e2e.parts import WORKER, parts, until
from tests.e2e.sluice_up import PROGRAM, SluiceUp, environment

CONTROL_APP = "serving.processes.control_worker"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session's repository: `doubler` and `divides`, and what tests put beside them."""
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def session(root: Path) -> Iterator[SluiceUp]:
    """Two workers, and a feature view."""
    view = {"entity": ["tailnum"], "features": {"year": "float32", "seats": "int32"}}
    config = root.with_name("sluice.yaml")
    # JSON is YAML.
    config.write_text(json.dumps({"feature_views": {"plane": view}}))
    arguments = ("--models", str(root), "--config", str(config), "--workers", "2")
    session = SluiceUp(*arguments, engine="in-process")
    try:
        yield session.wait_until_ready()
        session.close()
    finally:
        session.destroy()


def told(session: SluiceUp, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    """Status and body of one request to the control API."""
    url = f"http://127.0.0.1:{session.registered()['control_port']}{path}"
    content = None if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"content-type": "application/json"}
    request = urllib.request.Request(url, content, method=method, headers={**kind, **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text: str = answer.read().decode()
            return answer.status, json.loads(text) if text.startswith("{") else text
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def token(session: SluiceUp) -> str:
    return Path(str(session.registered()["token_file"])).read_text().strip()


def sluice(session: SluiceUp, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command as its user types it."""
    where = environment(TMPDIR=str(session.folder / "tmp"), XDG_RUNTIME_DIR=str(session.folder / "run"))
    command = [*PROGRAM, *arguments, "--http-port", str(session.port)]
    return subprocess.run(command, env=where, capture_output=True, text=True, timeout=60, check=False)


def versions(session: SluiceUp, model: str) -> list[int]:
    """What the port of predictions serves."""
    with session.connect() as connection:
        return [int(number) for number in connection.get(f"/v2/models/{model}").json()["versions"]]


def state(session: SluiceUp) -> list[tuple[str, int, list[int]]]:
    """Models, who answers by default, and all versions, as the control API tells."""
    _, body = told(session, "GET", "/api/v1/models")
    return [(one["name"], one["default"], [v["version"] for v in one["versions"]]) for one in body["models"]]


def test_the_token_is_its_owners_alone_and_named_by_up(session: SluiceUp) -> None:
    file = Path(str(session.registered()["token_file"]))
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"token in {file}" in session.log()
    assert token(session) not in session.log()


def test_no_operation_of_the_document_changes_a_session_without_its_token(session: SluiceUp, root: Path) -> None:
    save(root, "doubler", 8, doubler())
    before = state(session)
    _, document = told(session, "GET", "/openapi.json")
    for path, operations in document["paths"].items():
        url = path.replace("{model}", "doubler").replace("{view}", "plane") + "?version=8&force=true&key=N1"
        # What is read needs no token here; there is no rollout of any name.
        read = 404 if "{rollout}" in path else 200
        for method in operations:
            for wrong in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {token(session)}"}):
                status, _ = told(session, method.upper(), url, **wrong)
                assert status == (read if method == "get" else 401), (method, path)
    assert state(session) == before


def test_a_name_that_is_pointed_at_this_machine_reads_nothing(session: SluiceUp) -> None:
    status, body = told(session, "GET", "/api/v1/models", host="evil.example")
    assert status == 403
    assert "evil.example" in body["error"]


def test_a_version_is_loaded_and_let_go_by_command_and_the_default_stays(session: SluiceUp, root: Path) -> None:
    save(root, "doubler", 2, doubler())
    loaded = sluice(session, "models", "load", "doubler", "2")
    assert (loaded.returncode, loaded.stdout) == (0, "doubler/2 is loaded\n"), loaded
    assert versions(session, "doubler") == [1, 2]
    assert ("doubler", 1, [1, 2]) in state(session)
    assert "was loaded already" in sluice(session, "models", "load", "doubler", "2").stdout
    unloaded = sluice(session, "models", "unload", "doubler", "2", "--json")
    assert json.loads(unloaded.stdout) == {"model": "doubler", "versions": [2]}
    assert versions(session, "doubler") == [1]


def test_a_worker_that_is_started_again_knows_what_was_loaded_and_what_was_let_go(
    session: SluiceUp, root: Path
) -> None:
    save(root, "late", 3, doubler())
    save(root, "late", 4, divides())
    for number in ("3", "4"):
        assert sluice(session, "models", "load", "late", number).returncode == 0
    assert sluice(session, "models", "unload", "late", "4").returncode == 0
    before = {worker.pid for worker in parts(session, WORKER)}
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len({worker.pid for worker in parts(session, WORKER)} - before) == 2, "workers are started again")
    until(lambda: told(session, "GET", "/api/v1/health")[1]["workers"] == 2, "both can predict")
    for _ in range(8):
        assert versions(session, "late") == [3]
    assert sluice(session, "models", "unload", "late", "--force").returncode == 0


def test_a_version_that_cannot_be_loaded_is_refused_with_file_reason_and_remedy_and_changes_nothing(
    session: SluiceUp,
    root: Path,
) -> None:
    path = root / "doubler" / "6" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(doubler().SerializeToString()[:40])
    before = state(session)
    ended = sluice(session, "models", "load", "doubler", "6")
    assert ended.returncode == 1
    assert str(path) in ended.stderr
    assert "; " in ended.stderr
    assert sluice(session, "models", "load", "doubler", "77").returncode == 1
    assert state(session) == before
    assert versions(session, "doubler") == [1]


def test_the_version_that_answers_is_not_let_go(session: SluiceUp) -> None:
    ended = sluice(session, "models", "unload", "doubler", "1")
    assert ended.returncode == 1
    assert "would be served no more" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert versions(session, "doubler") == [1]


def test_a_control_app_that_ends_is_started_again_and_predictions_never_notice(session: SluiceUp) -> None:
    (before,) = parts(session, CONTROL_APP)
    before.kill()
    until(lambda: [one.pid for one in parts(session, CONTROL_APP)] not in ([], [before.pid]), "it is started again")
    assert told(session, "GET", "/api/v1/health")[1]["status"] == "ready"
    assert versions(session, "doubler") == [1]


def test_a_page_for_people_lists_what_there_is(session: SluiceUp) -> None:
    status, page = told(session, "GET", "/docs")
    assert status == 200
    assert "/api/v1/models/{model}:load" in page


def test_a_row_of_features_is_written_and_read(session: SluiceUp) -> None:
    given = {"authorization": f"Bearer {token(session)}"}
    rows = [{"key": ["N14228"], "values": {"year": 1999.5}, "event_time_s": 1_700_000_000}]
    assert told(session, "POST", "/api/v1/features/plane", {"rows": rows}, **given) == (
        200,
        {"view": "plane", "written": 1},
    )
    _, row = told(session, "GET", "/api/v1/features/plane?key=N14228")
    assert row["values"] == {"year": 1999.5, "seats": None}
    assert (row["status"], row["event_time_s"]) == ("present", 1_700_000_000)
    assert told(session, "GET", "/api/v1/features/plane?key=N9")[1]["status"] == "not_found"


def test_a_row_that_does_not_fit_is_refused_before_any_is_written(session: SluiceUp) -> None:
    given = {"authorization": f"Bearer {token(session)}"}
    rows = [{"key": ["N7"], "values": {"year": 1}}, {"key": ["N8"], "values": {"wings": 2}}]
    status, body = told(session, "POST", "/api/v1/features/plane", {"rows": rows}, **given)
    assert status == 400
    assert "rows.1.values" in body["error"]
    assert told(session, "GET", "/api/v1/features/plane?key=N7")[1]["status"] == "not_found"
