"""A result held against the one that its scenario names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from loadtests.reference import held_against, read_reference
from loadtests.running.result import SCHEMA
from loadtests.scenario.scenario import Reference, Scenario
from serving.errors import ConfigInvalid


def result(p99_ms: float, rate: float = 100.0, seconds: int = 60, **more: Any) -> dict[str, Any]:
    timeline = [
        {"at_s": float(at), "p50_ms": 1.0, "p99_ms": p99_ms, "p99.9_ms": 2 * p99_ms, "right_per_second": rate}
        for at in range(seconds)
    ]
    scenario: dict[str, Any] = {"users": [], "shape": [], "generator": {}}
    head = {"schema": SCHEMA, "name": "r", "verdict": "passed", "totals": {}, "gates": [], "notes": [], "stages": []}
    return {**head, "environment": {}, "scenario": scenario, "timeline": timeline, **more}


def gates(found: Any) -> dict[str, bool]:
    return {gate["name"]: gate["met"] for gate in found["gates"]}


def test_each_bound_is_a_gate_and_decides_the_verdict() -> None:
    wanted = Reference(result="old.json", p99=1.2, right_per_second=0.9)
    held = held_against(result(11), result(10), wanted)
    assert gates(held) == {"p99 to old.json's": True, "right/s to old.json's": True}
    assert held["verdict"] == "passed"
    slower = held_against(result(13), result(10), wanted)
    assert gates(slower) == {"p99 to old.json's": False, "right/s to old.json's": True}
    assert slower["verdict"] == "failed"
    assert not gates(held_against(result(10, rate=80), result(10), wanted))["right/s to old.json's"]


def test_what_is_not_sure_is_not_met() -> None:
    uneven = result(10)
    for number, one in enumerate(uneven["timeline"]):
        one["p99_ms"] = 1.0 if number % 20 < 10 else 100.0
    # The ratio of both is 1, and could as well be 2.
    assert not gates(held_against(uneven, uneven, Reference(result="old.json", p99=1.05)))["p99 to old.json's"]


def test_a_load_that_is_too_short_to_be_compared_misses_every_bound() -> None:
    held = held_against(result(10, seconds=5), result(10), Reference(result="old.json", p50=2, p999=2))
    assert gates(held) == {"p50 to old.json's": False, "p99.9 to old.json's": False}
    assert "at least 10" in held["gates"][0]["note"]


def test_an_invalid_load_stays_invalid_and_what_differs_is_noted() -> None:
    held = held_against(
        result(30, verdict="invalid", environment={"cores": 4}), result(10), Reference(result="o", p99=1)
    )
    assert held["verdict"] == "invalid"
    assert "reference: cores differs: None and 4" in held["notes"]


def test_without_a_reference_nothing_is_added(tmp_path: Path) -> None:
    scenario = Scenario.model_validate({"name": "s", "users": [{"name": "a"}], "shape": [{"for_s": 1, "rate": 1}]})
    found = result(10)
    assert held_against(found, read_reference(scenario, tmp_path), scenario.reference) is found


def test_a_reference_that_says_nothing_of_its_server_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    document = {"name": "s", "users": [{"name": "a"}], "shape": [{"for_s": 1, "rate": 1}]}
    scenario = Scenario.model_validate({**document, "reference": {"result": "old.json", "p99": 1.1}})
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        read_reference(scenario, tmp_path)
    (tmp_path / "old.json").write_text(json.dumps(result(1, verdict="invalid")))
    with pytest.raises(ConfigInvalid, match=r"old\.json is invalid"):
        read_reference(scenario, tmp_path)


def test_a_reference_needs_a_bound() -> None:
    with pytest.raises(ValidationError, match="held against nothing"):
        Reference.model_validate({"result": "old.json"})
