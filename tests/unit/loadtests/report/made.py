"""A result made up for tests of reports."""

from __future__ import annotations

from typing import Any

from loadtests.judging.gates import judged
from loadtests.judging.self_check import self_check
from loadtests.running.chaos import Mark
from loadtests.running.order import Account
from loadtests.running.result import Around, Measured, document
from loadtests.scenario.scenario import Scenario
from loadtests.scenario.shape import stage_spans
from tests.unit.loadtests.judging.made import outcomes


def result(**gates: Any) -> dict[str, Any]:
    """Three seconds, one thousand requests each, two variants, and something done to the server."""
    scenario = Scenario.model_validate(
        {
            "name": "made",
            "about": "Is <b>1 & 2</b> escaped?",
            "users": [{"name": "a"}, {"name": "b"}],
            "shape": [{"for_s": 1, "rate": 1000, "warm_up": True}, {"for_s": 2, "rate": 1000}],
            "gates": gates or {"p99_ms": 50.0},
        }
    )
    load = outcomes([1.0 + number % 7 for number in range(3_000)], [200] * 2_990 + [503] * 10)
    counted = load.between(1, 3)
    halves = {"stable": counted.between(1, 2), "canary": counted.between(2, 3)}
    measured = Measured(load, counted, stage_spans(scenario.shape), halves, 3.0, interrupted=False)
    check = self_check(counted, scenario.gates, [Account(0.1, 3.0, 4, 0, 50.0, ["stable"])], [0.001])
    marks = [Mark("kill-replica", 1.5, 1.51, 2.0, 0, "killed <1> | of 2")]
    around = Around(
        "2026-01-01T00:00:00+00:00",
        {"cpu": "x", "cores": 2},
        marks,
        {"run": 1.5, "queue": 0.2},
        {"hit": 900, "miss": 100},
    )
    return document(scenario, measured, check, judged(scenario.gates, counted, halves), around)
