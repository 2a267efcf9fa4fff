"""Sluice keeps the promises of the protocol that it serves, as the conformance suite tries them from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.conformance.known_models import write_repository
from tests.e2e.conftest import Start
from tests.integration.cli.sluice_command import sluice


@pytest.mark.parametrize("workers", [1, 2])
def test_every_check_is_tried_and_passes(workers: int, tmp_path: Path, start: Start) -> None:
    write_repository(tmp_path / "models")
    options = ("--models", tmp_path / "models", "--workers", workers)
    session = start(*options, SLUICE_HTTP__REPOSITORY_API="token")
    facts = session.registered()
    token, grpc = Path(str(facts["token_file"])).read_text().strip(), f"127.0.0.1:{facts['grpc_port']}"
    report = tmp_path / "report.json"
    ended = sluice("conformance", session.url, "--grpc", grpc, "--token", token, "--json", str(report))
    checks = json.loads(report.read_text())["checks"]
    assert {one["id"]: one["reason"] for one in checks if one["outcome"] != "pass"} == {}
    assert ended.code == 0
