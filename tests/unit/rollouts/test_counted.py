"""Counts by name find their columns, and those that no gate asks for find none."""

from __future__ import annotations

from serving.rollouts.counted import stratum_counts
from serving.rollouts.gate import Gate, GateSet, Kind
from serving.rollouts.stratum import EVERY, FIRST
from serving.state.rollout_counts import StratumName

LATENCY = Gate("latency", Kind.LATENCY, 0.01, bins=3, phi0=1.25)
GATES = GateSet([Gate("errors", Kind.RATE, 0.02), LATENCY, Gate("scores", Kind.DRIFT, 0.01, bins=4)])
NAME = StratumName(3, 1, 0, 500)


def test_slow_runs_are_found_by_bound_and_size_and_all_runs_behind_them() -> None:
    found = stratum_counts(GATES, NAME, {"0|slow.2.5": 3, "1|slow.0.0": 4, "0|ran.5": 30, "1|ran.0": 40})
    first = found.events[FIRST]
    assert first[0, GATES.columns_in(LATENCY, 2)[5]] == 3
    assert first[1, GATES.columns_in(LATENCY, 0)[0]] == 4
    assert GATES.of(LATENCY, first, found.requests).tolist() == [30, 40]
    assert GATES.by_bin(LATENCY, first).tolist() == [[0, 0, 3], [4, 0, 0]]


def test_what_no_gate_asks_for_is_left_out() -> None:
    strange = (
        "slow.3.0",
        "slow.0.6",
        "ran.6",
        "ran",
        "slow.0",
        "latency",
        "latency.0",
        "latency.0.0",
        "scores.4",
        "vibes",
        "errors.1",
    )
    found = stratum_counts(GATES, NAME, {f"4|{event}": 9 for event in strange})
    assert not found.events.any()


def test_without_a_gate_of_latency_runs_are_not_asked_for() -> None:
    without = GateSet([Gate("errors", Kind.RATE, 0.02)])
    found = stratum_counts(without, NAME, {"4|ran.0": 9, "4|slow.0.0": 3, "4|errors": 2})
    assert found.events[EVERY].tolist() == [[2], [0]]
