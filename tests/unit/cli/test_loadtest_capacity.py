"""The search for a capacity says what of a scenario it cannot do, before it asks anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.capacity import Goal, Search
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
