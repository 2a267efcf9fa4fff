"""A gate's numbers at one look: its evidence, and the counts of the bin that says most."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from serving.rollouts.confidence import rate_interval, ratio_interval
from serving.rollouts.evidence import Evidence, total
from serving.rollouts.gate import Gate, GateSet, Kind
from serving.rollouts.stratum import Floats

DISPLAY_ALPHA = 0.05


class Reading(NamedTuple):
    """`events` and `requests` (runs, of a gate that is of these) are by arm, canary first, of the whole rollout.

    `bin` is the one that says most.
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
    table = total(gates, evidence.by_weight)
    by_bin = gates.by_bin(gate, table)
    canary, stable = by_bin.sum(axis=1) if gate.kind is Kind.DRIFT else by_bin[:, place]
    on_canary, on_stable = gates.of(gate, table, evidence.requests)
    events, requests = (int(canary), int(stable)), (int(on_canary), int(on_stable))
    return Reading(gate, value, place, events, requests, _ratio(gates, evidence, gate, place))


def effect(gates: GateSet, evidence: Evidence, reading: Reading) -> Effect:
    """For display, each at 5 %: verdicts are taken on the evidence alone."""
    log_ratio = np.zeros(gates.ratios.size)
    for weight_bp, rows in evidence.by_weight.items():
        log_ratio = log_ratio + gates.ratios.log_growth(rows[:1], rows[:1] + rows[1:], weight_bp)[0]
    of_bins = gates.ratios.of_gate(log_ratio, gates.gates.index(reading.gate)).reshape(reading.gate.bins, -1)
    canary, stable = (
        rate_interval(min(events, trials), trials, DISPLAY_ALPHA)
        for events, trials in zip(reading.events, reading.requests, strict=True)
    )
    return Effect(ratio_interval(of_bins[reading.bin], DISPLAY_ALPHA), canary, stable)


def _telling(gates: GateSet, evidence: Evidence, gate: Gate) -> int:
    """The bin in which the canary's events are most standard deviations from what its share would give."""
    if gate.bins == 1 or not evidence.by_weight:
        return 0
    surplus, variance = np.zeros(gate.bins), np.full(gate.bins, 1e-9)
    for weight_bp, rows in evidence.by_weight.items():
        (canary, stable), rho = gates.cells(gate, rows, weight_bp)
        pi = rho * gate.phi0 / (rho * gate.phi0 + 1 - rho)
        surplus += (canary - pi * (canary + stable)).sum(axis=1)
        variance += (pi * (1 - pi) * (canary + stable)).sum(axis=1)
    score = surplus / np.sqrt(variance)
    return int(np.argmax(np.abs(score) if gate.kind is Kind.DRIFT else score))


def _ratio(gates: GateSet, evidence: Evidence, gate: Gate, place: int) -> float:
    """Of Mantel and Haenszel, "Statistical aspects of the analysis of data from retrospective studies" (JNCI 1959)."""
    above = below = 0.0
    for weight_bp, rows in evidence.by_weight.items():
        (canary, stable), rho = gates.cells(gate, rows, weight_bp)
        above += float((canary[place] * (1 - rho)).sum())
        below += float((stable[place] * rho).sum())
    return above / below if below else 0.0
