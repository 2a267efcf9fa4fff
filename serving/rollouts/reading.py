"""A gate's numbers at one look: its evidence, and the counts of the bin that says most."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from serving.rollouts.alternatives import Floats
from serving.rollouts.confidence import rate_interval, ratio_interval
from serving.rollouts.evidence import Evidence, total
from serving.rollouts.gate import Gate, GateSet, Kind
from serving.rollouts.stratum import WHOLE_BP

DISPLAY_ALPHA = 0.05


class Reading(NamedTuple):
    """`events` and `requests` are by arm, canary first, of the whole rollout; `bin` is the one that says most.

    `ratio` is how many times as often events happen on the canary, as estimated over the weights that there were: 0
    where there is nothing to compare.
    """

    gate: Gate
    evidence: float
    bin: int
    events: tuple[int, int]
    requests: tuple[int, int]
    ratio: float

    @property
    def needed(self) -> float:
        """The evidence that decides."""
        return self.gate.needed

    @property
    def events_on_canary(self) -> int:
        """Of the bin that says most."""
        return self.events[0]


class Effect(NamedTuple):
    """How large the difference is, with bounds that hold at all looks: of the ratio, and of both arms' rates."""

    ratio: tuple[float, float]
    canary: tuple[float, float]
    stable: tuple[float, float]


def read(gates: GateSet, evidence: Evidence, gate: Gate, values: Floats) -> Reading:
    """The numbers of one gate; `values` is the evidence of all."""
    value = float(values[gates.gates.index(gate)])
    place = _telling(gates, evidence, gate)
    column = gates.firsts[gate.name] + place
    counts = total(gates, evidence.by_weight)
    canary, stable = counts[:, gates.columns_of(gate)].sum(axis=1) if gate.kind is Kind.DRIFT else counts[:, column]
    on_canary, on_stable = evidence.requests
    events, requests = (int(canary), int(stable)), (int(on_canary), int(on_stable))
    return Reading(gate, value, place, events, requests, _ratio(evidence, column))


def effect(gates: GateSet, evidence: Evidence, reading: Reading) -> Effect:
    """For display, each at 5 %: verdicts are taken on the evidence alone."""
    column = gates.firsts[reading.gate.name] + reading.bin
    log_ratio = np.zeros(gates.ratios.size)
    for weight_bp, rows in evidence.by_weight.items():
        log_ratio = log_ratio + gates.ratios.log_growth(rows[:1], rows[:1] + rows[1:], weight_bp)[0]
    per_column = log_ratio.reshape(gates.columns, -1)
    canary, stable = (
        rate_interval(min(events, trials), trials, DISPLAY_ALPHA)
        for events, trials in zip(reading.events, reading.requests, strict=True)
    )
    return Effect(ratio_interval(per_column[column], DISPLAY_ALPHA), canary, stable)


def _telling(gates: GateSet, evidence: Evidence, gate: Gate) -> int:
    """The bin in which the canary's events are most standard deviations from what its weight would give."""
    if gate.bins == 1 or not evidence.by_weight:
        return 0
    columns = gates.columns_of(gate)
    surplus, variance = np.zeros(gate.bins), np.full(gate.bins, 1e-9)
    for weight_bp, rows in evidence.by_weight.items():
        rho = weight_bp / WHOLE_BP
        pi = rho * gate.phi0 / (rho * gate.phi0 + 1 - rho)
        canary, stable = rows[:, columns]
        surplus += canary - pi * (canary + stable)
        variance += pi * (1 - pi) * (canary + stable)
    score = surplus / np.sqrt(variance)
    return int(np.argmax(np.abs(score) if gate.kind is Kind.DRIFT else score))


def _ratio(evidence: Evidence, column: int) -> float:
    """Of Mantel and Haenszel, "Statistical aspects of the analysis of data from retrospective studies" (JNCI 1959)."""
    above = below = 0.0
    for weight_bp, rows in evidence.by_weight.items():
        rho = weight_bp / WHOLE_BP
        above += float(rows[0, column]) * (1 - rho)
        below += float(rows[1, column]) * rho
    return above / below if below else 0.0
