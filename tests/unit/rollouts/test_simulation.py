"""The shipped rule in described worlds, at a size that shows whether it works; benchmarks/canary has the full one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from serving.rollouts.gate import GateSet, Kind
from serving.rollouts.plan import Plan, Step, default_steps, gates_of
from serving.rollouts.simulated_traffic import traffic_of
from serving.rollouts.simulation import Result, ShippedRule, simulate
from serving.rollouts.stratum import EVERY, FIRST, IN_STEP, Stratum
from serving.rollouts.transition import Phase
from serving.rollouts.world import Batches, Fault, Peak, World, measured

PLAN = Plan(default_steps(1_000))
STICKY = World(keys=20_000)
TEN_PERCENT = Plan((Step(1_000, 3_600, 3_600),))


def runs(world: World, count: int, plan: Plan = PLAN) -> list[Result]:
    return [simulate(world, plan, seed) for seed in range(count)]


def ended(results: list[Result]) -> Counter[Phase]:
    return Counter(result.phase for result in results)


# About as many rows in a run as the share lets gather, up to 64, and stalls that hit whole runs, often several.
STALLED = World(requests_per_min=6_000.0, batches=Batches(gathered_s=0.4, stalls=5e-4, lasts=3.0))


def test_the_same_seed_is_the_same_rollout() -> None:
    assert simulate(STICKY, PLAN, 7) == simulate(STICKY, PLAN, 7)


@pytest.mark.slow
def test_of_40_identical_canaries_at_most_5_are_stopped() -> None:
    assert ended(runs(STICKY, 40))[Phase.PROMOTED] >= 35


@pytest.mark.parametrize(
    "fault",
    [Fault(error_ratio=3.0), Fault(latency_factor=1.4), Fault(slow_share=0.04)],
    ids=["errors", "latency", "slow tail"],
)
def test_a_faulty_canary_is_rolled_back(fault: Fault) -> None:
    assert ended(runs(replace(STICKY, fault=fault), 4)) == {Phase.ROLLED_BACK: 4}


@pytest.mark.parametrize("keys", [0, 100_000], ids=["per request", "sticky"])
def test_an_identical_canary_stays_where_stalls_make_whole_batches_slow(keys: int) -> None:
    plan = Plan(default_steps(6_000))
    found = [simulate(replace(STALLED, keys=keys), plan, seed) for seed in range(12)]
    assert ended(found)[Phase.ROLLED_BACK] == 0
    assert ended(found)[Phase.PROMOTED] >= 11


def test_counted_by_row_the_same_stalls_would_roll_it_back() -> None:
    """As it was before a run was one observation; else the worlds above would show nothing."""
    plan = Plan(default_steps(6_000))
    gates = [replace(gate, kind=Kind.RATE) if gate.of_runs else gate for gate in gates_of(plan, measured())]
    by_row = GateSet(gates)
    found = [simulate(STALLED, plan, seed, ShippedRule(plan, by_row), gates=by_row) for seed in range(6)]
    assert ended(found)[Phase.ROLLED_BACK] >= 3


@pytest.mark.parametrize("keys", [0, 100_000], ids=["per request", "sticky"])
@pytest.mark.parametrize("fault", [Fault(latency_factor=1.25), Fault(slow_share=0.02)], ids=["all slower", "slow tail"])
def test_a_slow_canary_is_rolled_back_among_the_same_stalls(fault: Fault, keys: int) -> None:
    world = replace(STALLED, keys=keys, batches=Batches(gathered_s=0.1, stalls=5e-4, lasts=3.0), fault=fault)
    found = [simulate(world, Plan(default_steps(6_000)), seed) for seed in range(3)]
    assert {(result.phase, result.reason) for result in found} == {(Phase.ROLLED_BACK, "latency")}


def test_small_shares_have_small_batches_and_one_request_of_each_stands_for_it() -> None:
    gates = GateSet(gates_of(PLAN, measured()))
    latency = next(gate for gate in gates.gates if gate.of_runs)
    for world in (STALLED, replace(STALLED, keys=20_000)):
        counts = traffic_of(world, gates, np.random.default_rng(3)).tick(Stratum(0, 0, 0, 500), 0.0, 60.0)
        runs = gates.of(latency, counts.events[EVERY], counts.requests)
        rows_each = counts.requests / runs
        assert rows_each[0] < 4
        assert 25 < rows_each[1] < 64
        leading = gates.of(latency, counts.events[FIRST], counts.requests)
        assert (leading <= np.minimum(runs, 120)).all()
        assert leading[1] > 60
        slow = gates.by_bin(latency, counts.events[EVERY])
        assert (np.diff(slow, axis=1) <= 0).all()
        assert (slow[:, 0] <= runs).all()


def test_twice_the_errors_are_seen_at_a_tenth_of_the_traffic() -> None:
    found = runs(World(fault=Fault(error_ratio=2.0)), 5, TEN_PERCENT)
    assert ended(found)[Phase.ROLLED_BACK] >= 4


def test_a_fault_after_half_an_hour_is_found_in_seconds() -> None:
    fault = Fault(error_ratio=20.0, from_s=1_800.0)
    world = World(requests_per_min=6_000.0, drifts=False, look_s=60, fine_from_s=1_800.0, fault=fault)
    found = runs(world, 4, TEN_PERCENT)
    assert ended(found) == {Phase.ROLLED_BACK: 4}
    assert np.median([result.at_s - 1_800.0 for result in found]) <= 12.0


def test_a_fault_of_the_last_step_is_not_promoted_on_the_strength_of_the_others() -> None:
    found = runs(replace(STICKY, fault=Fault(error_ratio=2.0, from_step=4)), 4)
    assert ended(found)[Phase.PROMOTED] == 0


def test_a_fault_that_needs_load_is_found_at_the_peak() -> None:
    world = World(peak=Peak(1_200.0, 900.0, 2.0), fault=Fault(error_ratio=5.0, above_load=1.5))
    assert ended(runs(world, 4)) == {Phase.ROLLED_BACK: 4}


def test_other_scores_pause_and_do_not_roll_back() -> None:
    found = runs(replace(STICKY, fault=Fault(score_shift=0.5)), 4)
    assert {(result.phase, result.reason) for result in found} == {(Phase.PAUSED, "scores")}


def test_without_traffic_the_first_step_ends_inconclusive() -> None:
    result = simulate(World(requests_per_min=0.0, look_s=60), PLAN, 1)
    assert (result.phase, result.reason, result.at_s) == (Phase.PAUSED, "no_traffic", 3_600.0)


def test_sticky_traffic_counts_each_key_once_a_rollout_and_once_a_step() -> None:
    gates = GateSet(gates_of(PLAN, measured()))
    traffic = traffic_of(World(keys=300, error_rate=0.3), gates, np.random.default_rng(3))
    column = gates.firsts["errors"]
    seen = [
        traffic.tick(Stratum(place, step, step, 5_000), 60.0 * place, 60.0) for place, step in enumerate((0, 0, 1, 1))
    ]
    firsts, in_step, every = (
        [int(counts.events[rows, column].sum()) for counts in seen] for rows in (FIRST, IN_STEP, EVERY)
    )
    assert sum(firsts) <= 300
    assert firsts[0] == in_step[0] < every[0]
    assert sum(firsts[2:]) < sum(in_step[2:]) <= 300
    assert sum(int(counts.keys.sum()) for counts in seen[:2]) <= 300
    assert (seen[0].requests >= seen[0].keys).all()


def test_sticky_keys_stay_in_the_canary_as_it_grows() -> None:
    gates = GateSet(gates_of(PLAN, measured()))
    split = gates.firsts["split"]
    traffic = traffic_of(World(keys=2_000), gates, np.random.default_rng(3))
    shares = []
    for place, weight_bp in enumerate((0, 1_000, 5_000, 10_000)):
        counts = traffic.tick(Stratum(place, place, place, weight_bp), 60.0 * place, 300.0)
        canary, stable = counts.events[IN_STEP, split]
        shares.append(canary / (canary + stable))
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares[1:3] == pytest.approx([0.1, 0.5], abs=0.05)
