"""A rollout as people see it: where it stands, and every gate with its numbers and its sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.rollouts import explain, guardrail, judged_by, record, transition
from serving.rollouts.bridge import sentence
from serving.rollouts.counted import stratum_counts
from serving.rollouts.evidence import Evidence, at_step, values, with_strata
from serving.rollouts.gate import GateSet
from serving.rollouts.guardrail import Guarded
from serving.rollouts.look import Counted, whole_model
from serving.rollouts.no_harm import proofs
from serving.rollouts.plan import Plan
from serving.rollouts.reading import Reading, effect, read
from serving.rollouts.rollout import Rollout

_ARMS = ("canary", "stable")
_COUNTED_BY = {True: "key", False: "request", None: "unknown"}


def summary(rollout: Rollout) -> dict[str, Any]:
    """One line of a list, which needs no counts."""
    standing, plan = rollout.standing, rollout.in_force()
    return {
        "id": rollout.id,
        "model": rollout.model,
        "stable": rollout.stable,
        "canary": rollout.canary,
        "phase": rollout.phase,
        "over": rollout.over,
        "frozen": standing is not None and standing.frozen,
        "step": 0 if standing is None else standing.step,
        "steps": [_step(plan, place) for place in range(len(plan.steps))],
        "weight_percent": 0.0 if standing is None else transition.weight_bp(standing, plan) / 100,
        "started_s": rollout.started_s,
        "since_s": rollout.began_s if standing is None else standing.since_s,
        "by": rollout.by,
        "runs": rollout.runs,
        "outcome": rollout.said.outcome,
        "reason": rollout.said.reason,
        "sentence": sentence(rollout),
    }


def view(rollout: Rollout, counted: Counted, late: int) -> dict[str, Any]:
    """All of it; `counted` are the counts of slices that are in no evidence yet."""
    gates = rollout.gates()
    if why := record.readable(rollout.evidence):
        # It is over: what it came to is all that is left to be told.
        return {**summary(rollout), **_unreadable(rollout, why, late)}
    new = {name: fields for name, fields in counted.items() if name.slice > rollout.folded}
    strata = [stratum_counts(gates, name, fields) for name, fields in new.items()]
    evidence = with_strata(gates, rollout.folded_evidence(gates), strata)
    if rollout.standing is not None:
        evidence = at_step(gates, evidence, rollout.standing.judged_step)
    return {
        **summary(rollout),
        "said": rollout.said.sentence,
        "counted_by": _COUNTED_BY[rollout.sticky],
        "requests": _by_arm(evidence.requests),
        "step_requests": _by_arm(evidence.step.requests),
        "late_requests": late,
        "key_sample": judged_by.key_sample(rollout),
        "gates": _gates(rollout, gates, evidence) if rollout.standing is not None else [],
        "guardrail": _guardrail(rollout, new),
        "lacking": [explain.of_proof(proof) for proof in proofs(gates, evidence) if not proof.shown]
        if rollout.standing is not None and not rollout.over
        else [],
    }


def _unreadable(rollout: Rollout, why: str, late: int) -> dict[str, Any]:
    nothing = _by_arm((0, 0))
    return {
        "said": rollout.said.sentence if rollout.over else why,
        "counted_by": _COUNTED_BY[rollout.sticky],
        "requests": nothing,
        "step_requests": nothing,
        "late_requests": late,
        "key_sample": judged_by.key_sample(rollout),
        "gates": [],
        "guardrail": [],
        "lacking": [why],
    }


def _step(plan: Plan, place: int) -> dict[str, Any]:
    step = plan.steps[place]
    return {
        "weight_percent": step.weight_bp / 100,
        "least_s": step.least_s,
        "most_s": step.most_s,
        "approval": step.approval,
    }


def _gates(rollout: Rollout, gates: GateSet, evidence: Evidence) -> list[dict[str, Any]]:
    found = values(gates, evidence)
    return [
        _gate(gates, evidence, read(gates, evidence, gate, found)) | {"judged_by": judged_by.of_gate(rollout, gate)}
        for gate in gates.gates
    ]


def _gate(gates: GateSet, evidence: Evidence, reading: Reading) -> dict[str, Any]:
    sizes = effect(gates, evidence, reading)
    return {
        "name": reading.gate.name,
        "evidence": reading.evidence,
        "needed": reading.needed,
        "events": _by_arm(reading.events),
        "requests": _by_arm(reading.requests),
        "ratio": reading.ratio,
        "ratio_between": [_finite(bound) for bound in sizes.ratio],
        "rates_between": {arm: list(bounds) for arm, bounds in zip(_ARMS, (sizes.canary, sizes.stable), strict=True)},
        "sentence": explain.of_reading(gates, evidence, reading),
    }


def _guardrail(rollout: Rollout, new: Counted) -> list[dict[str, Any]]:
    settings = rollout.in_force().guardrail
    if settings is None:
        return []
    return [
        _guarded(one) | {"judged_by": judged_by.of_guard(rollout, one, settings)} for one in whole_model(rollout, new)
    ]


def _guarded(one: Guarded) -> dict[str, Any]:
    return {
        "name": one.name,
        "evidence": one.evidence,
        "needed": one.needed,
        "now": {"events": one.now[0], "requests": one.now[1]},
        "before": {"events": one.before[0], "requests": one.before[1]},
        "sentence": guardrail.sentence(one),
    }


def _by_arm(pair: Any) -> Mapping[str, int]:  # noqa: ANN401 - two whole numbers of any kind
    return {arm: int(count) for arm, count in zip(_ARMS, pair, strict=True)}


def _finite(bound: float) -> float | None:
    """JSON has no infinity; None is no bound."""
    return float(bound) if bound - bound == 0 else None
