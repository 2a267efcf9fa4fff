"""What is told before a start agrees with what the simulation then does, within what "about" means."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from serving.rollouts.estimate import Forecast, Traffic, budget_share, forecasts, proof_minutes
from serving.rollouts.plan import Plan, Step, default_steps
from serving.rollouts.simulation import simulate
from serving.rollouts.world import Fault, World

TRAFFIC = Traffic(1_000.0, 0.01, 0.002)
AT_10 = Plan((Step(1_000, 3_600, 36_000),))


def forecast(gate: str, change: str, plan: Plan = AT_10, traffic: Traffic = TRAFFIC) -> Forecast:
    return next(
        found for found in forecasts(plan, traffic) if (found.gate, found.change[: len(change)]) == (gate, change)
    )


@pytest.mark.parametrize(
    ("gate", "change", "fault"),
    [
        ("errors", "2 times", Fault(error_ratio=2.0)),
        ("errors", "10 times", Fault(error_ratio=10.0)),
        ("scores", "shifted", Fault(score_shift=0.25)),
    ],
)
def test_the_foretold_time_is_near_the_simulated_one(gate: str, change: str, fault: Fault) -> None:
    world = World(drifts=False, fault=fault)
    minutes = [simulate(world, AT_10, seed).at_s / 60 for seed in range(12)]
    assert forecast(gate, change).minutes == pytest.approx(float(np.median(minutes)), rel=0.6)


def test_more_traffic_and_larger_changes_are_seen_earlier() -> None:
    assert forecast("errors", "3 times").minutes < forecast("errors", "2 times").minutes
    busier = Traffic(10_000.0, 0.01, 0.002)
    assert forecast("errors", "2 times", traffic=busier).minutes < forecast("errors", "2 times").minutes / 5


def test_what_no_step_can_see_is_said_to_be_unseen() -> None:
    found = forecast("errors", "2 times", Plan(default_steps(1_000)), Traffic(1.0, 0.0001))
    assert found.step is None
    assert found.minutes > 100


def test_a_gate_of_which_nothing_was_measured_is_not_foretold() -> None:
    assert {found.gate for found in forecasts(AT_10, Traffic(1_000.0, 0.0))} == {"latency", "scores"}


def test_the_proof_of_no_harm_takes_as_long_as_traffic_needs() -> None:
    plan = Plan(default_steps(1_000))
    assert proof_minutes(plan, TRAFFIC) >= plan.steps[-1].least_s / 60
    assert proof_minutes(plan, Traffic(50.0, 0.01)) > 60
    assert proof_minutes(plan, Traffic(0.0, 0.01)) == inf


def test_the_share_of_the_budget_is_that_of_the_errors_it_permits() -> None:
    # 99.9 % of 1,000 a minute in 30 days permits 43,200 errors.
    assert budget_share(432.0, TRAFFIC) == pytest.approx(0.01)
    assert budget_share(1.0, Traffic(0.0, 0.01)) == inf
