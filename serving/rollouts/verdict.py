"""What follows from the evidence at one look: a table of rules, of which the first that has anything to say decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from serving.rollouts import explain, guardrail
from serving.rollouts.evidence import Evidence, at_step, values
from serving.rollouts.gate import Gate, GateSet, Kind
from serving.rollouts.no_harm import Proof, proofs
from serving.rollouts.plan import Otherwise, Plan
from serving.rollouts.reading import Reading, read
from serving.rollouts.stratum import Floats

# Evidence from which on a canary goes no further, though it is not enough for a rollback.
WARNING = 10.0


class Outcome(StrEnum):
    """What is known of the canary."""

    FAIL = "fail"
    PASS = "pass"  # noqa: S105 - no password
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    WAITING = "waiting"


class Action(StrEnum):
    """What is to be done; `transition.py` does it."""

    ROLLBACK = "rollback"
    PAUSE = "pause"
    ADVANCE = "advance"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Look:
    """What is known besides the counts; empty texts mean that nothing is to be told.

    `hard_stop` is what needs no statistics: replicas that crash, a version that does not load. `guardrail` is what is
    wrong with the whole model, compared with before the start: what hurts both arms no ratio can see. `store_error` is
    why counts could not be read. Gates in `accepted` were seen by a person who resumed; they pause no more.
    `unconfirmed` is why a webhook does not agree that it goes on, and `waited_enough` that the time for that is over.
    """

    step: int
    elapsed_s: float
    hard_stop: str = ""
    guardrail: str = ""
    store_error: str = ""
    accepted: frozenset[str] = frozenset()
    unconfirmed: str = ""
    waited_enough: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A result with its reason (stable, fit for a label), one sentence for people, and the numbers behind it."""

    outcome: Outcome
    action: Action
    reason: str
    sentence: str
    readings: tuple[Reading, ...] = ()
    gate: str = ""


@dataclass(frozen=True, slots=True)
class _Case:
    plan: Plan
    gates: GateSet
    evidence: Evidence
    look: Look
    values: Floats

    @property
    def canary_requests(self) -> int:
        return int(self.evidence.step.requests[0])

    @property
    def over(self) -> bool:
        return self.look.elapsed_s >= self.plan.steps[self.look.step].most_s


def judge(plan: Plan, gates: GateSet, evidence: Evidence, look: Look) -> Verdict:
    """The verdict of this look; it is for the caller to let a rollback stand whatever later looks say."""
    evidence = at_step(gates, evidence, look.step)
    case = _Case(plan, gates, evidence, look, values(gates, evidence))
    verdict = next(filter(None, (rule(case) for rule in _RULES)), None) or Verdict(
        Outcome.PASS, Action.ADVANCE, "step_passed", explain.passed(plan, look.step), _all_readings(case)
    )
    return unconfirmed(look, verdict) if look.unconfirmed and verdict.action is Action.ADVANCE else verdict


def unconfirmed(look: Look, verdict: Verdict) -> Verdict:
    """A no never rolls back: it says nothing of the canary."""
    sentence = f"{verdict.sentence}; it waits for the agreement of {look.unconfirmed}"
    if look.waited_enough:
        sentence = f"{verdict.sentence}; the agreement did not come in time: {look.unconfirmed}"
        return Verdict(Outcome.INCONCLUSIVE, Action.PAUSE, "unconfirmed", sentence, verdict.readings)
    return Verdict(Outcome.WAITING, Action.HOLD, "unconfirmed", sentence, verdict.readings)


def _hard_stop(case: _Case) -> Verdict | None:
    if not case.look.hard_stop:
        return None
    return Verdict(Outcome.FAIL, Action.ROLLBACK, "hard_stop", case.look.hard_stop)


def _store_error(case: _Case) -> Verdict | None:
    return of_store_error(case.look, over=case.over)


def of_store_error(look: Look, *, over: bool) -> Verdict | None:
    """What nobody can see is not passed, also once the time is over."""
    if not look.store_error:
        return None
    sentence = f"counts cannot be read: {look.store_error}"
    return Verdict(Outcome.ERROR, Action.PAUSE if over else Action.HOLD, "no_counts", sentence)


def _decided(case: _Case) -> Verdict | None:
    """A broken split comes first, since it makes all other verdicts worthless."""
    found = [gate for gate, value in zip(case.gates.gates, case.values, strict=True) if value >= gate.needed]
    for gate in sorted(found, key=lambda gate: gate.kind is not Kind.SPLIT):
        reading = read(case.gates, case.evidence, gate, case.values)
        if _above_floors(case, reading):
            verdict = _against(case, gate, reading)
            if verdict is not None:
                return verdict
    return None


def _above_floors(case: _Case, reading: Reading) -> bool:
    """Floors only delay a verdict, so that they leave the guarantee as it is."""
    seen = reading.events_on_canary if reading.gate.kind is not Kind.SPLIT else sum(reading.events)
    return seen >= case.plan.min_events and int(case.evidence.requests[0]) >= case.plan.min_requests


def _against(case: _Case, gate: Gate, reading: Reading) -> Verdict | None:
    sentence = explain.of_reading(case.gates, case.evidence, reading)
    if gate.kind not in {Kind.SPLIT, Kind.DRIFT}:
        return Verdict(Outcome.FAIL, Action.ROLLBACK, gate.name, sentence, (reading,), gate.name)
    if gate.name in case.look.accepted or (gate.kind is Kind.DRIFT and case.plan.expect_drift):
        return None
    return Verdict(Outcome.INCONCLUSIVE, Action.PAUSE, gate.name, sentence, (reading,), gate.name)


def _guardrail(case: _Case) -> Verdict | None:
    return of_guardrail(case.look)


def of_guardrail(look: Look) -> Verdict | None:
    """A pause, unless a person has seen it: nobody knows whose fault it is."""
    if not look.guardrail or guardrail.NAME in look.accepted:
        return None
    return Verdict(Outcome.INCONCLUSIVE, Action.PAUSE, guardrail.NAME, look.guardrail, gate=guardrail.NAME)


def _too_early(case: _Case) -> Verdict | None:
    least_s = case.plan.steps[case.look.step].least_s
    if case.look.elapsed_s >= least_s:
        return None
    sentence = f"{case.look.elapsed_s / 60:.1f} of at least {least_s / 60:.3g} min of this step are over"
    return Verdict(Outcome.WAITING, Action.HOLD, "too_early", sentence)


def _few_requests(case: _Case) -> Verdict | None:
    if case.canary_requests >= case.plan.min_requests:
        return None
    sentence = f"{case.canary_requests} of at least {case.plan.min_requests} requests reached the canary in this step"
    reason = "few_requests" if case.canary_requests else "no_traffic"
    return _undecided(case, reason, sentence, case.plan.on_no_data)


def _warned(case: _Case) -> Verdict | None:
    for gate, value in zip(case.gates.gates, case.values, strict=True):
        if value < WARNING or gate.name in case.look.accepted or (gate.kind is Kind.DRIFT and case.plan.expect_drift):
            continue
        reading = read(case.gates, case.evidence, gate, case.values)
        sentence = explain.of_reading(case.gates, case.evidence, reading)
        # A warning is evidence against the canary: going on in spite of it is for a person to say.
        otherwise = Otherwise.PAUSE if case.plan.on_inconclusive is Otherwise.ADVANCE else case.plan.on_inconclusive
        return _undecided(case, "warning", sentence, otherwise)
    return None


def _unproven(case: _Case) -> Verdict | None:
    if case.look.step < len(case.plan.steps) - 1:
        return None
    missing = [proof for proof in proofs(case.gates, case.evidence) if not proof.shown]
    if not missing:
        return None
    reason = "saturated" if any(proof.saturated for proof in missing) else "unproven"
    return _undecided(case, reason, _not_shown(missing), case.plan.on_inconclusive)


def _not_shown(missing: list[Proof]) -> str:
    return "; ".join(explain.of_proof(proof) for proof in missing)


def _undecided(case: _Case, reason: str, sentence: str, otherwise: Otherwise) -> Verdict:
    verdict = partial(Verdict, reason=reason, sentence=sentence, readings=_all_readings(case) if case.over else ())
    if not case.over:
        return verdict(Outcome.WAITING, Action.HOLD)
    actions = {
        Otherwise.PAUSE: Action.PAUSE,
        Otherwise.ABORT: Action.ROLLBACK,
        Otherwise.ADVANCE: Action.ADVANCE,
    }
    return verdict(Outcome.INCONCLUSIVE, actions[otherwise])


def _all_readings(case: _Case) -> tuple[Reading, ...]:
    return tuple(read(case.gates, case.evidence, gate, case.values) for gate in case.gates.gates)


# What is certain before what is likely, harm before the lack of proof.
_RULES: tuple[Callable[[_Case], Verdict | None], ...] = (
    _hard_stop,
    _store_error,
    _decided,
    _guardrail,
    _too_early,
    _few_requests,
    _warned,
    _unproven,
)
