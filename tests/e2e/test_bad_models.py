"""Models that cannot be served: `models check` says which file, what and what to do; `up` serves the others."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from serving.testing.bad_models import BAD
from tests.e2e.bad_request import GOOD_ANSWER, tensor
from tests.e2e.http_client import Connection, Reply
from tests.e2e.refused_models import BESIDE, SAID
from tests.e2e.sluice_up import PROGRAM, SluiceUp, environment


@pytest.fixture(scope="module")
def checked(repository: Path) -> dict[str, dict[str, Any]]:
    """What `models check --json` says, by model and version."""
    ended = _sluice("models", "check", str(repository), "--json")
    assert ended.returncode == 1, ended
    return {f"{one['model']}/{one['version']}": one for one in json.loads(ended.stdout)["versions"]}


def test_every_bad_model_has_its_sentence() -> None:
    assert {f"{name}/1" for name in BAD} <= SAID.keys()


@pytest.mark.parametrize("version", SAID)
def test_check_says_which_file_what_is_wrong_and_what_to_do(
    checked: dict[str, dict[str, Any]], repository: Path, version: str
) -> None:
    path, what, remedy = SAID[version]
    said = checked[version]
    assert not said["servable"]
    assert said["what"].startswith(f"{repository}/{path}: "), said
    assert what in said["what"]
    assert remedy in said["remedy"]


def test_check_finds_nothing_wrong_with_the_others(checked: dict[str, dict[str, Any]]) -> None:
    served = {version for version, said in checked.items() if said["servable"]}
    assert served == checked.keys() - SAID.keys()
    assert {*BESIDE, "flight-delay/1", "flight-delay/2", "mlp/1"} <= served


def test_check_says_the_same_to_people_and_ends_with_1(repository: Path) -> None:
    ended = _sluice("models", "check", str(repository))
    assert ended.returncode == 1
    for path, what, remedy in SAID.values():
        line = next(line for line in ended.stdout.splitlines() if f"{repository}/{path}: " in line)
        assert what in line
        assert remedy in line


def test_check_of_good_models_ends_with_0(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "good" / "1", tmp_path / "good" / "1")
    ended = _sluice("models", "check", str(tmp_path))
    assert ended.returncode == 0, ended


def test_up_refuses_those_versions_and_serves_the_rest(gateway: SluiceUp, repository: Path) -> None:
    for path, what, remedy in SAID.values():
        line = next(line for line in gateway.log().splitlines() if f"{repository}/{path}: " in line)
        assert what in line
        assert remedy in line
    with gateway.connect() as connection:
        assert connection.get("/v2/health/ready").status == 200
        for version in BESIDE:
            _right(_ask(connection, version), version)
        _right(_ask(connection, "good"), "good/2")
        _right(_ask(connection, "half"), "half/1")
        for version, said in SAID.items():
            reply = _ask(connection, version.replace("/None", "/1"))
            assert reply.status in (404, 503), reply
            model, _, number = version.partition("/")
            assert f"'{model}'" in reply.error
            if reply.status == 503:
                assert all(piece in reply.error for piece in said), reply.error
                assert f"version {number} " in reply.error


def test_up_with_nothing_to_serve_says_why_and_ends(tmp_path: Path) -> None:
    BAD["truncated"](tmp_path, "only")
    ended = _up(tmp_path)
    assert ended.returncode == 2
    path, what, remedy = SAID["truncated/1"]
    assert path.replace("truncated", "only") in ended.stderr
    assert what in ended.stderr
    assert remedy in ended.stderr


def test_up_ends_when_every_model_is_refused_as_it_is_loaded(tmp_path: Path) -> None:
    BAD["unknown-opset"](tmp_path, "only")
    ended = _up(tmp_path)
    assert ended.returncode == 1
    assert "first prediction" not in ended.stdout
    assert "needs opset 99" in ended.stdout
    assert "nothing to serve" in ended.stderr


def _ask(connection: Connection, version: str) -> Reply:
    model, _, number = version.partition("/")
    path = f"/v2/models/{model}/versions/{number}/infer" if number else f"/v2/models/{model}/infer"
    return connection.post(path, {"inputs": [tensor()]})


def _right(reply: Reply, version: str) -> None:
    assert reply.status == 200, reply
    document = reply.json()
    assert f"{document['model_name']}/{document['model_version']}" == version
    assert document["outputs"][0]["data"] == GOOD_ANSWER


def _up(models: Path) -> subprocess.CompletedProcess[str]:
    ports = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0", "--control-port", "0")
    return _sluice("up", "--models", str(models), "--engine", "in-process", *ports)


def _sluice(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
