"""The search for a capacity says what it cannot do before it asks anybody, and what it found however it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtests.capacity import Goal, Search
from serving.cli.failure import CommandFailed, ExitCode
from serving.cli.loadtest_capacity import WantedCapacity, find_capacity
from serving.errors import ConfigInvalid

SCENARIO = """
name: s
target: http://127.0.0.1:9
users: [{name: one, payload: payload.jsonl}]
shape: [{for_s: 1, rate: 1}]
reference: {result: old.json, p99: 1.2}
"""


def test_a_reference_is_refused_since_no_step_is_held_against_it(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO, encoding="utf-8")
    with pytest.raises(ConfigInvalid, match="reference: find-capacity holds nothing against an earlier result"):
        find_capacity(WantedCapacity(str(file), None, None, None), Goal("p99", 20.0), Search())


STEP = {
    "verdict": "passed",
    "problems": [],
    "totals": {"right": 1_000, "error_share": 0.0, "by_status": {"200": 1_000}},
    "gates": [{"measured": 1.0}],
    "histogram": [(0.0, 1.0, 1_000)],
}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each step comes to; Ctrl-C ends the one after them."""
    found: list[dict[str, Any]] = []
    rest: list[Iterator[dict[str, Any]]] = []

    def run(*_: object, **__: object) -> dict[str, Any]:
        rest[:] = rest or [iter(found)]
        return next(rest[0], {"verdict": "interrupted"})

    monkeypatch.setattr("serving.cli.loadtest_capacity.run", run)
    monkeypatch.setattr("serving.cli.loadtest_capacity.reach", lambda *_: None)
    monkeypatch.setattr("serving.cli.loadtest_capacity.heed_interrupts", lambda: None)
    return found


def searched(folder: Path, json_file: Path | None) -> CommandFailed:
    file = folder / "scenario.yaml"
    file.write_text(SCENARIO[: SCENARIO.index("reference")], encoding="utf-8")
    with pytest.raises(CommandFailed) as ended:
        find_capacity(WantedCapacity(str(file), None, None, json_file), Goal("p99", 20.0), Search())
    assert ended.value.code == ExitCode.INTERRUPTED
    return ended.value


def test_ctrl_c_tells_what_was_found_until_then_also_as_json(
    steps: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps += [STEP, STEP]
    searched(tmp_path, tmp_path / "found.json")
    assert "200/s (and nothing was missed): Ctrl-C ended the search" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["rate"], len(found["tried"])) == (200.0, 2)


def test_ctrl_c_within_the_first_step_found_nothing(
    steps: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not steps
    assert "before the first step" in searched(tmp_path, None).message
    assert not capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_told_before_anybody_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO[: SCENARIO.index("reference")], encoding="utf-8")
    for place in (tmp_path / "nowhere" / "found.json", tmp_path):
        with pytest.raises(ConfigInvalid, match="cannot be written: name a file in a folder that is there"):
            find_capacity(WantedCapacity(str(file), None, None, place), Goal("p99", 20.0), Search())
