"""A load test while it runs."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from loadtests.running.run import Look
from loadtests.scenario.scenario import Scenario
from serving.cli.loadtest_screen import LoadScreen
from tests.unit.loadtests.judging.made import outcomes


def screen(**more: Any) -> LoadScreen:
    document = {"name": "s", "users": [{"name": "a"}], **more}
    return LoadScreen(Console(file=StringIO()), Scenario.model_validate(document))


def test_the_stage_is_told_and_recorded_times_are_one() -> None:
    staged = screen(shape=[{"name": "first", "for_s": 1, "rate": 1}])
    replayed = screen(generator={"replay": "times.txt"})
    load = outcomes([1.0] * 500)
    assert [staged._cells(Look(at, 1.0, load))[0] for at in (0.5, 1.5)] == ["first", "last answers"]
    assert [replayed._cells(Look(at, 1.0, load))[0] for at in (0.5, 1.5)] == ["replay", "last answers"]


def test_what_only_the_end_can_tell_is_no_missed_gate_meanwhile() -> None:
    gates = {"p99_ms": 5.0, "degraded": 0.01, "variants": {"canary": {"errors": 0}}}
    running = screen(shape=[{"for_s": 1, "rate": 1}], gates=gates)
    assert [(gate.name, gate.met) for gate in running._gates(Look(0.5, 1.0, outcomes([1.0] * 500)))] == [
        ("p99_ms", True)
    ]
