"""Verdicts in one sentence with their numbers, for people who were not there."""

from __future__ import annotations

import numpy as np

from serving.rollouts.e_process import EProcess
from serving.rollouts.evidence import Evidence, values
from serving.rollouts.gate import GateSet, Kind
from serving.rollouts.no_harm import ALPHA, Proof
from serving.rollouts.plan import Plan
from serving.rollouts.reading import Reading
from serving.rollouts.stratum import WHOLE_BP

_WORDS = {
    "errors": "errors",
    "latency": "runs over the bound",
    "scores": "scores",
    "features_missing": "rows with missing features",
    "outputs_invalid": "invalid outputs",
    "split": "assignments",
}
_MOST_FORETOLD = 1_000


def words(gate: str) -> str:
    """The events of a gate, as people call them."""
    return _WORDS.get(gate, gate)


def of_reading(gates: GateSet, evidence: Evidence, reading: Reading) -> str:
    """What was seen on both arms, how much evidence that is, and how much more would decide."""
    what = words(reading.gate.name)
    return f"{_seen(what, reading)}; {_evidence(reading)}{_missing(gates, evidence, reading)}"


def of_proof(proof: Proof) -> str:
    """What a promotion still lacks."""
    what = words(proof.gate.name)
    if proof.saturated:
        return f"{what}: most are of keys that had one before, so that both arms look alike; nothing can be shown"
    return (
        f"{what}: not yet shown to be less than {proof.margin.ratio:g} times as many (evidence {number(proof.e)} of "
        f"{2 / ALPHA:g} needed) nor less than {100 * proof.margin.excess:g} points more "
        f"(at most {100 * proof.excess:.2f})"
    )


def passed(plan: Plan, step: int) -> str:
    """Why it goes on."""
    if step == len(plan.steps) - 1:
        return "no gate speaks against the canary, and this step shows that it does no harm"
    return f"no gate speaks against the canary after its time at {plan.steps[step].weight_bp / 100:g} %"


def _seen(what: str, reading: Reading) -> str:
    (canary, stable), (on_canary, on_stable) = reading.events, reading.requests
    match reading.gate.kind:
        case Kind.SPLIT:
            return f"{canary:,} of {canary + stable:,} {what} went to the canary, {reading.ratio:.3g} times its weight"
        case Kind.DRIFT:
            return (
                f"{canary:,} scores of the canary lie otherwise than {stable:,} of the stable version, most in bin "
                f"{reading.bin + 1} of {reading.gate.bins} ({reading.ratio:.2g} times as many)"
            )
        case _:
            compared = f": {reading.ratio:.2g} times as many" if reading.ratio else ""
            return f"{what} {canary:,}/{on_canary:,} on the canary against {stable:,}/{on_stable:,}{compared}"


def _evidence(reading: Reading) -> str:
    if reading.evidence >= reading.needed:
        return f"evidence {number(reading.evidence)}, where {number(reading.needed)} decide"
    return f"evidence {number(reading.evidence)} of {number(reading.needed)} needed"


def _missing(gates: GateSet, evidence: Evidence, reading: Reading) -> str:
    if reading.evidence >= reading.needed or reading.gate.kind in {Kind.DRIFT, Kind.SPLIT}:
        return ""
    more = _events_to_decide(gates, evidence, reading)
    return f"; about {more:,} more would decide" if more else ""


def _events_to_decide(gates: GateSet, evidence: Evidence, reading: Reading) -> int:
    """Events on the canary, if the arms go on as before: 0 where they would not decide."""
    if reading.ratio <= reading.gate.phi0:
        return 0
    low, high = 0, 1
    while not _would_decide(gates, evidence, reading, high):
        low, high = high, 2 * high
        if low > _MOST_FORETOLD:
            return 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _would_decide(gates, evidence, reading, middle) else (middle, high)
    return high


def _would_decide(gates: GateSet, evidence: Evidence, reading: Reading, more: int) -> bool:
    weight_bp = max(evidence.by_weight)
    table = evidence.by_weight[weight_bp]
    (on_canary, _), shares = gates.cells(reading.gate, table, weight_bp)
    likely = int(np.argmax(on_canary[reading.bin]))
    rho = float(shares[likely]) if on_canary[reading.bin].any() else weight_bp / WHOLE_BP
    column = gates.columns_in(reading.gate, reading.bin)[likely]
    canary, both = np.zeros((2, 1, gates.columns), np.int64)
    runs = list(gates.runs_of(reading.gate))
    canary[0, runs], both[0, runs] = table[0, runs], table[:, runs].sum(axis=0)
    canary[0, column] = more
    # The stable version has its own events meanwhile.
    both[0, column] = round(more * (1 + (1 - rho) / (rho * reading.ratio)))
    growth = gates.against.log_growth(canary, both, weight_bp)[0]
    process = EProcess(evidence.process.next_slice, evidence.process.a * np.exp(np.minimum(growth, 300.0)))
    ahead = Evidence(process, evidence.by_weight, evidence.requests, evidence.step)
    return bool(values(gates, ahead)[gates.gates.index(reading.gate)] >= reading.needed)


def number(value: float) -> str:
    """Evidence, as people read it."""
    return f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"  # noqa: PLR2004 - longer ones are not read
