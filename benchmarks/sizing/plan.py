"""The fleets that the page on sizing plans with, each of them simulated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.sizing.costs import Costs
from benchmarks.sizing.fleet import Fleet, Load, Run, simulate

RATE = 100_000.0
MODELS = 1_000
# A model of 1 ms a row, as `results/sizing-overload.json` has it; few rows together, as its goal allows.
HEAVY_ROWS = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """One line of the table."""

    title: str
    fleet: Fleet
    load: Load


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of service times that never vary, and of such that vary as much as exponential ones: the truth is between."""

    plan: Plan
    regular: Run
    irregular: Run


def plans(costs: Costs, entity_us: float, heavy_row_us: float) -> Iterator[Plan]:
    """A fleet that suffices, then the same with one part less, then what is too little."""
    one, many = Load(RATE), Load(RATE, models=MODELS)
    by_entity = replace(costs, gateway_in_us=costs.gateway_in_us + entity_us)
    heavy = replace(costs, replica_row_us=heavy_row_us)
    for workers, replicas in ((4, 3), (3, 3), (4, 2), (2, 2), (1, 2)):
        yield Plan("rows, one model", Fleet(costs, workers, replicas), one)
    for workers, replicas in ((6, 4), (4, 4), (6, 3), (2, 4)):
        yield Plan("ids, one model", Fleet(by_entity, workers, replicas), one)
    for workers, replicas in ((14, 13), (13, 13), (14, 8), (5, 4)):
        yield Plan("rows, 1,000 models", Fleet(costs, workers, replicas), many)
    for workers, replicas in ((8, 182), (8, 130), (8, 100)):
        yield Plan("rows, 1 ms a row", Fleet(heavy, workers, replicas, max_rows=HEAVY_ROWS), one)


def simulated(plan: Plan) -> Outcome:
    """Both ways, with the same seed."""
    return Outcome(plan, simulate(plan.fleet, plan.load), simulate(replace(plan.fleet, irregular=True), plan.load))


def percentile_ms(run: Run, percent: float) -> float:
    """Of those latencies that count."""
    return float(np.percentile(run.latencies_us, percent)) / 1e3
