"""A rollout that an older release began, whose latency gate counted every answer: all else of its evidence goes on.

That release judged latency as a rate, with a column for each bound; now a run is one observation among runs of about as
many rows. No count of answers tells what those of runs would have been, so that what the latency gate had is left
behind: of faults that began before now nothing is left in its mixture, and those that begin later have the weights
that they always had (`e_process`). So the evidence is nowhere above that of both releases together, and `alpha` holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from serving.rollouts import record
from serving.rollouts.e_process import EProcess
from serving.rollouts.evidence import Evidence, StepCounts, Tables
from serving.rollouts.gate import GateSet, Kind
from serving.rollouts.looked import Looked, given_up, told
from serving.rollouts.rollout import Rollout
from serving.rollouts.stratum import Counts
from serving.rollouts.transition import Phase

REASON = "older_release"
_ANEW = (
    "an older release began it, which counted every answer where a run counts now: what was seen of latency begins "
    "anew with this step's time, all other evidence goes on, and of the whole model errors alone are watched"
)


def gone_on(rollout: Rollout, now_s: float) -> Looked | None:
    """With evidence as this release has it, at the weight that it had; None where it has that already.

    Where it is of another release still, or of other gates, nobody can judge it, and it ends.
    """
    if not record.of_answers(rollout.evidence):
        why = record.readable(rollout.evidence)
        return given_up(rollout, REASON, why, now_s) if why else None
    standing = rollout.standing
    if standing is None or rollout.evidence is None:
        return None
    try:
        evidence = carried_over(rollout.gates(), rollout.evidence)
    except ValueError as error:
        return given_up(rollout, REASON, f"{error}: start it again", now_s)
    # No step ends on what was seen of latency before.
    since_s = now_s if standing.phase is Phase.STEP else standing.since_s
    reason = "; ".join(filter(None, (standing.reason, _ANEW)))
    after = rollout.with_evidence(evidence, rollout.folded)
    after = replace(after, standing=replace(standing, since_s=since_s, reason=reason), confirming_s=0.0)
    return Looked(after, told("controller", "gone_on", rollout, after, now_s))


def carried_over(gates: GateSet, document: Mapping[str, Any]) -> Evidence:
    """Gates that count requests have what they had, to the last bit, and those that count runs have nothing yet.

    Raises:
        ValueError: it is of other gates than those of the plan.
    """
    answers = GateSet([replace(gate, kind=Kind.RATE) if gate.of_runs else gate for gate in gates.gates])
    held = record.load(answers, {**document, "format": record.FORMAT})
    a = np.zeros(gates.against.size)
    for place, gate in enumerate(gates.gates):
        if not gate.of_runs:
            gates.against.of_gate(a, place)[:] = answers.against.of_gate(held.process.a, place)

    step = held.step
    return Evidence(
        EProcess(held.process.next_slice, a),
        _moved(gates, answers, held.by_weight),
        held.requests,
        StepCounts(
            step.step,
            _moved(gates, answers, step.by_weight),
            _moved(gates, answers, {0: step.every})[0],
            step.requests,
            step.keys,
        ),
    )


def _moved(gates: GateSet, answers: GateSet, tables: Tables) -> Tables:
    """Counts of the same gates in the columns that they have now."""
    found: dict[int, Counts] = {}
    for weight_bp, rows in tables.items():
        found[weight_bp] = np.zeros((2, gates.columns), np.int64)
        for gate in gates.gates:
            if not gate.of_runs:
                found[weight_bp][:, gates.columns_of(gate)] = rows[:, answers.columns_of(gate)]
    return found
