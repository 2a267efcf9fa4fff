"""Load tests of the running gateway: every protocol's users get right answers, and what is wrong is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.running.run import run
from loadtests.scenario.scenario import Scenario
from tests.e2e.sluice_up import SluiceUp


def asked(port: int, *users: dict[str, Any], folder: Path = Path()) -> dict[str, Any]:
    """One second, every answer compared."""
    return run(
        Scenario.model_validate(
            {
                "name": "short",
                "target": f"http://127.0.0.1:{port}",
                "users": [{"check": 1.0, **user} for user in users],
                "shape": [{"for_s": 1, "rate": 200}],
                "gates": {"p99_ms": 2_000.0, "errors": 0.0},
            }
        ),
        folder,
    )


def test_users_of_http_get_the_answers_of_the_version_they_asked(in_process: SluiceUp) -> None:
    first = "/v2/models/flight-delay/versions/1/infer"
    rows = {"payload": "flight-rows"}
    found = asked(
        in_process.port,
        {"name": "json", **rows},
        {"name": "binary", "protocol": "binary", **rows},
        {"name": "first", "path": first, **rows},
    )
    assert found["verdict"] == "passed", found["totals"]
    for name in ("json", "binary", "first"):
        assert found["users"][name]["compared"] == found["users"][name]["right"] > 0


def test_users_of_grpc_get_the_answers_of_the_version_they_asked(in_process: SluiceUp) -> None:
    found = asked(in_process.grpc_port, {"name": "calls", "payload": "flight-rows", "protocol": "grpc"})
    assert found["verdict"] == "passed", found["totals"]
    assert found["users"]["calls"]["compared"] == found["users"]["calls"]["right"] > 0
    assert found["variants"]["stable"]["requests"] == found["totals"]["requests"]
    late = {"name": "late", "payload": "flight-rows", "protocol": "grpc", "headers": {"grpc-timeout": "1n"}}
    found = asked(in_process.grpc_port, late)
    assert found["totals"]["by_status"] == {"gRPC DEADLINE_EXCEEDED": found["totals"]["requests"]}


@pytest.mark.parametrize(("protocol", "kind"), [("json", "404"), ("grpc", "gRPC NOT_FOUND")])
def test_a_model_that_is_not_there_is_told_by_its_kind(in_process: SluiceUp, protocol: str, kind: str) -> None:
    port = in_process.grpc_port if protocol == "grpc" else in_process.port
    user = {"name": "lost", "payload": "flight-rows", "protocol": protocol, "path": "/v2/models/nowhere/infer"}
    found = asked(port, user)
    assert found["verdict"] == "failed"
    assert found["totals"]["by_status"] == {kind: found["totals"]["requests"]}


def test_a_quick_wrong_answer_is_an_error(in_process: SluiceUp, tmp_path: Path) -> None:
    tensor = {"name": "input", "shape": [1, 20], "datatype": "FP32", "data": [0.0] * 20}
    line = {"path": "/v2/models/flight-delay/infer", "body": {"inputs": [tensor]}, "answer": {"model_name": "another"}}
    (tmp_path / "wrong.jsonl").write_text(json.dumps(line))
    found = asked(in_process.port, {"name": "wrong", "payload": "wrong.jsonl"}, folder=tmp_path)
    assert found["totals"]["by_status"] == {"wrong answer": found["totals"]["requests"]}
