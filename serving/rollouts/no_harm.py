"""Is the canary shown to do no harm? Asked of the current step alone, and of its counts as they stand now.

That something was shown at some time says nothing about now, so the largest value so far has no meaning here, and what
was seen in earlier steps does not count: a fault that begins with the last step would be promoted on the strength of
the good ones.

Two routes lead there for each margin, each at half of alpha: evidence against every ratio from the margin on, or a
bound on the excess. All margins have to be met, each at alpha: an intersection-union test (Berger, "Multiparameter
hypothesis testing and acceptance sampling", Technometrics 1982) needs no correction for their number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from serving.rollouts.confidence import rate_interval
from serving.rollouts.e_process import mixture
from serving.rollouts.evidence import Evidence, StepCounts, total
from serving.rollouts.gate import Gate, GateSet, Margin
from serving.rollouts.stratum import Counts

ALPHA = 0.05
# Below this share of first events among all, keys have run out: two arms in which every key had its event look alike.
_SATURATED = 0.5
_FEW_EVENTS = 20


class Proof(NamedTuple):
    """How far one margin is: the larger of the two routes counts.

    `e` is the evidence against the ratio, `excess` the upper bound of the difference of shares.
    """

    gate: Gate
    margin: Margin
    e: float
    excess: float
    saturated: bool

    @property
    def shown(self) -> bool:
        """Whether one of the routes has arrived."""
        return not self.saturated and (self.e >= 2 / ALPHA or self.excess < self.margin.excess)


def proofs(gates: GateSet, evidence: Evidence) -> list[Proof]:
    """Every margin of every gate, from the counts of the current step."""
    if gates.safe is None:
        return []
    step, share = evidence.step, _sampled(gates, evidence.step)
    log_ratio = np.zeros(gates.safe.size)
    for weight_bp, rows in step.by_weight.items():
        log_ratio = log_ratio + gates.safe.log_growth(rows[:1], rows[:1] + rows[1:], weight_bp)[0]
    return [
        _proof(gates, step, (gate, margin), float(value), share)
        for (gate, margin), value in zip(gates.margins, mixture(gates.safe, log_ratio), strict=True)
    ]


def _sampled(gates: GateSet, step: StepCounts) -> float:
    """Which share of requests is of keys whose first events are known: assignments are counted of those alone."""
    requests = int(step.requests.sum())
    if "split" not in gates.firsts or not requests:
        return 1.0
    return min(1.0, int(step.every[:, gates.firsts["split"]].sum()) / requests)


def _proof(gates: GateSet, step: StepCounts, of: tuple[Gate, Margin], value: float, share: float) -> Proof:
    gate, margin = of
    table = total(gates, step.by_weight)
    events, among = gates.by_bin(gate, table)[:, margin.bin], gates.of(gate, table, step.keys)
    # Events of all keys are counted, also of runs; the first ones are of the sample.
    every = int(gates.by_bin(gate, step.every)[:, margin.bin].sum()) * share
    saturated = every >= _FEW_EVENTS and int(events.sum()) < _SATURATED * every
    return Proof(gate, margin, value, _excess(events, among), saturated)


def _excess(events: Counts, of: Counts) -> float:
    # A quarter of alpha for each bound: half is the other route's.
    _, most = rate_interval(int(events[0]), int(of[0]), ALPHA / 4)
    least, _ = rate_interval(int(events[1]), int(of[1]), ALPHA / 4)
    return most - least
