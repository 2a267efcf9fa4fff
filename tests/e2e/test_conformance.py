"""Sluice keeps the promises of the protocol that it serves, as the conformance suite tries them from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.conformance.known_models import write_repository
from tests.e2e.conftest import Start
from tests.integration.cli.sluice_command import sluice


@pytest.mark.parametrize("workers", [1, 2])
def test_every_check_that_a_session_can_be_tried_with_passes(workers: int, tmp_path: Path, start: Start) -> None:
    write_repository(tmp_path / "models")
    session = start("--models", tmp_path / "models", "--workers", workers)
    ended = sluice("conformance", session.url, "--json", str(tmp_path / "report.json"))
    report = json.loads((tmp_path / "report.json").read_text())
    failed = {one["id"]: one["reason"] for one in report["checks"] if one["outcome"] in ("fail", "error")}
    assert failed == {}
    assert ended.code == 0
