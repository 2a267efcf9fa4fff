"""The evidence of a rollout so far: what all strata say, folded into a state whose size does not grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from serving.rollouts import e_process
from serving.rollouts.e_process import EProcess, begin, folded
from serving.rollouts.gate import GateSet
from serving.rollouts.stratum import EVERY, FIRST, IN_STEP, Counts, Floats, StratumCounts

# Strata that are worked on together: more would not stay in the processor's cache.
_AT_ONCE = 64
Tables = Mapping[int, Counts]


@dataclass(frozen=True, slots=True, eq=False)
class StepCounts:
    """What was seen in one step: no proof that the canary does no harm goes back further.

    `by_weight` is first events of the step by arm and column, for each weight in basis points, `every` all events by
    arm and column. `requests` and `keys` are by arm.
    """

    step: int
    by_weight: Tables
    every: Counts
    requests: Counts
    keys: Counts


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """`by_weight` is first events of the whole rollout by arm and column, for each weight in basis points."""

    process: EProcess
    by_weight: Tables
    requests: Counts
    step: StepCounts


def nothing(gates: GateSet) -> Evidence:
    """Before anything was seen."""
    return Evidence(begin(gates.against), {}, np.zeros(2, np.int64), _new_step(gates, 0))


def with_strata(gates: GateSet, evidence: Evidence, strata: Iterable[StratumCounts]) -> Evidence:
    """With more strata, none of which may come twice; late ones may come after later ones.

    Strata of a look that are not over yet are added to a copy, which is what this returns anyhow. However strata
    are parted between calls that keep their order, the result is the same to the last bit.
    """
    for run in _runs(strata):
        events = np.array([counts.events for counts in run])
        totals = events.sum(axis=0)
        weight_bp = run[0].stratum.weight_bp
        by_weight = _added(evidence.by_weight, weight_bp, totals[FIRST])
        requests = np.sum([counts.requests for counts in run], axis=0)
        keys = np.sum([counts.keys for counts in run], axis=0)
        step = _in_step(_step_of(gates, evidence.step, run[0].stratum.step), run[0], totals, (requests, keys))
        process = _process(gates, evidence.process, run, events[:, FIRST])
        evidence = Evidence(process, by_weight, evidence.requests + requests, step)
    return evidence


def values(gates: GateSet, evidence: Evidence) -> Floats:
    """The evidence against the canary, gate by gate."""
    return e_process.evidence(gates.against, evidence.process)


def at_step(gates: GateSet, evidence: Evidence, step: int) -> Evidence:
    """The same, where nothing of this step was seen yet as well."""
    return replace(evidence, step=_step_of(gates, evidence.step, step))


def total(gates: GateSet, tables: Tables) -> Counts:
    """Counts under all weights together: right for display, and wrong for any test."""
    return sum(tables.values(), start=np.zeros((2, gates.columns), np.int64))


def _runs(strata: Iterable[StratumCounts]) -> Iterator[list[StratumCounts]]:
    """Strata in their order, cut where the step or the weight changes."""
    ordered = sorted(strata, key=lambda counts: counts.stratum)
    for _, group in groupby(ordered, key=lambda counts: (counts.stratum.step, counts.stratum.weight_bp)):
        run = list(group)
        yield from (run[begin : begin + _AT_ONCE] for begin in range(0, len(run), _AT_ONCE))


def _process(gates: GateSet, process: EProcess, run: list[StratumCounts], first: Counts) -> EProcess:
    canary, both = first[:, 0], first.sum(axis=1)
    # A slice without events is as if it had not been: whether it is handed in must not change the last bit.
    seen = np.flatnonzero(both.any(axis=1))
    growth = gates.against.log_growth(canary[seen], both[seen], run[0].stratum.weight_bp)
    return folded(process, growth, [run[place].stratum.slice for place in seen])


def _new_step(gates: GateSet, step: int) -> StepCounts:
    two = np.zeros(2, np.int64)
    return StepCounts(step, {}, np.zeros((2, gates.columns), np.int64), two, two)


def _step_of(gates: GateSet, before: StepCounts, step: int) -> StepCounts:
    return _new_step(gates, step) if step > before.step else before


def _in_step(before: StepCounts, counts: StratumCounts, totals: Counts, seen: tuple[Counts, Counts]) -> StepCounts:
    stratum = counts.stratum
    if stratum.step < before.step:
        return before  # late counts of a step that is over
    return StepCounts(
        before.step,
        _added(before.by_weight, stratum.weight_bp, totals[IN_STEP]),
        before.every + totals[EVERY],
        before.requests + seen[0],
        before.keys + seen[1],
    )


def _added(tables: Tables, weight_bp: int, rows: Counts) -> Tables:
    return {**tables, weight_bp: tables[weight_bp] + rows if weight_bp in tables else rows}
