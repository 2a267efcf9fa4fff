"""What is told before a start agrees with what the simulation then does, within what "about" means."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from serving.rollouts.counted import stratum_counts
from serving.rollouts.estimate import Forecast, Traffic, budget_share, forecasts, proof_minutes
from serving.rollouts.evidence import nothing, values, with_strata
from serving.rollouts.gate import GateSet
from serving.rollouts.plan import DEFAULT_GATES, Measured, Plan, Step, default_steps, gates_of
from serving.rollouts.simulation import simulate
from serving.rollouts.stratum import SLICE_S
from serving.rollouts.world import Fault, World
from serving.state.rollout_counts import StratumName

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


@pytest.mark.parametrize("requests_per_min", [1_000, 6_000])
def test_the_foretold_time_of_slow_runs_is_near_the_simulated_one_however_many_requests(requests_per_min: int) -> None:
    # Of the world's answers one in ten takes longer than 13.4 ms, and with this factor two.
    fault = Fault(latency_factor=1.192)
    world = World(requests_per_min=requests_per_min, drifts=False, fault=fault, look_s=20)
    minutes = [simulate(world, AT_10, seed).at_s / 60 for seed in range(12)]
    foretold = forecast("latency", "2 times", traffic=Traffic(requests_per_min, 0.01))
    assert foretold.minutes == pytest.approx(float(np.median(minutes)), rel=0.6)


def test_runs_of_one_turn_are_one_observation_in_each_worker() -> None:
    many, more = (forecast("latency", "2 times", traffic=Traffic(load, 0.01)).minutes for load in (6e4, 6e5))
    assert more == pytest.approx(many, rel=0.01)
    four = forecast("latency", "2 times", traffic=Traffic(6e5, 0.01, workers=4)).minutes
    assert four == pytest.approx(more / 4, rel=0.01)


def test_fewer_runs_than_requests_show_less() -> None:
    plan = Plan((Step(1_000, 60, 36_000),), {"latency": DEFAULT_GATES["latency"]})
    batched = Traffic(1_000.0, 0.01, runs_per_request=0.1)
    assert forecast("latency", "2 times", plan, batched) == forecast("latency", "2 times", plan, Traffic(100.0, 0.01))
    assert proof_minutes(plan, batched) == proof_minutes(plan, Traffic(100.0, 0.01))


@pytest.mark.parametrize("weight_bp", [100, 1_000, 5_000])
@pytest.mark.parametrize("gate", ["features_missing", "outputs_invalid", "split"])
def test_what_no_world_has_is_foretold_as_the_shipped_gates_find_it(gate: str, weight_bp: int) -> None:
    plan = Plan((Step(weight_bp, 360_000, 360_000),))
    gates = GateSet(gates_of(plan, Measured(3, (0, 1))))
    place, evidence, slices = [one.name for one in gates.gates].index(gate), nothing(gates), 0
    seen = (0.0, 0.0)
    while values(gates, evidence)[place] < gates.gates[place].needed or sum(seen) < plan.min_events:
        now = expected(gate, weight_bp / 10_000, slices + 1)
        canary, stable = (round(after) - round(before) for before, after in zip(seen, now, strict=True))
        name = StratumName(slices, 1, 0, weight_bp)
        counted = stratum_counts(gates, name, {f"0|{gate}": canary, f"1|{gate}": stable})
        evidence, slices, seen = with_strata(gates, evidence, [counted]), slices + 1, now
    foretold = forecast(gate, "", plan, Traffic(1_000.0, 0.01))
    assert foretold.minutes == pytest.approx(slices * SLICE_S / 60, rel=0.6)


def test_a_verdict_on_what_is_new_waits_for_as_many_events_as_the_plan_asks_for() -> None:
    # One a minute.
    assert forecast("outputs_invalid", "", replace(AT_10, min_events=50)).minutes == pytest.approx(50)


def expected(gate: str, rho: float, slices: int) -> tuple[float, float]:
    """Events of both arms within so many slices, at a thousand requests a minute."""
    requests = 1_000 * slices * SLICE_S / 60
    if gate == "split":
        share = rho * 1.1 / (rho * 1.1 + 1 - rho)
        return requests * share, requests * (1 - share)
    return requests * rho * 0.01, 0.0


def test_more_traffic_and_larger_changes_are_seen_earlier() -> None:
    assert forecast("errors", "3 times").minutes < forecast("errors", "2 times").minutes
    busier = Traffic(10_000.0, 0.01, 0.002)
    assert forecast("errors", "2 times", traffic=busier).minutes < forecast("errors", "2 times").minutes / 5


def test_what_no_step_can_see_is_said_to_be_unseen() -> None:
    found = forecast("errors", "2 times", Plan(default_steps(1_000)), Traffic(1.0, 0.0001))
    assert found.step is None
    assert found.minutes > 100


def test_a_gate_of_which_nothing_was_measured_is_not_foretold() -> None:
    assert "errors" not in {found.gate for found in forecasts(AT_10, Traffic(1_000.0, 0.0))}


def test_every_gate_is_foretold_and_none_that_the_plan_leaves_out() -> None:
    assert {found.gate for found in forecasts(AT_10, Traffic(1_000.0, 0.01))} == set(DEFAULT_GATES)
    errors = {"errors": DEFAULT_GATES["errors"]}
    assert {found.gate for found in forecasts(replace(AT_10, gates=errors), TRAFFIC)} == {"errors"}


def test_the_proof_of_no_harm_takes_as_long_as_traffic_needs() -> None:
    plan = Plan(default_steps(1_000))
    assert proof_minutes(plan, TRAFFIC) >= plan.steps[-1].least_s / 60
    assert proof_minutes(plan, Traffic(50.0, 0.01)) > 60
    assert proof_minutes(plan, Traffic(0.0, 0.01)) == inf


def test_the_share_of_the_budget_is_that_of_the_errors_it_permits() -> None:
    # 99.9 % of 1,000 a minute in 30 days permits 43,200 errors.
    assert budget_share(432.0, TRAFFIC) == pytest.approx(0.01)
    assert budget_share(1.0, Traffic(0.0, 0.01)) == inf
