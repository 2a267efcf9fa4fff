"""One look at a rollout: what is stored and what was counted since give what to store next; no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any

from serving.rollouts import guardrail, record, shadow, transition
from serving.rollouts.counted import stratum_counts
from serving.rollouts.evidence import Evidence, with_strata
from serving.rollouts.gate import GateSet
from serving.rollouts.guardrail import Guarded, SliceSeen
from serving.rollouts.looked import Looked, given_up, told
from serving.rollouts.measuring import FEWEST_RUNS, Basis, Measurement
from serving.rollouts.older_release import gone_on
from serving.rollouts.plan import ShadowStage
from serving.rollouts.rollout import Rollout, Said
from serving.rollouts.stratum import SLICE_S, StratumCounts
from serving.rollouts.transition import Phase
from serving.rollouts.verdict import Action, Look, Outcome, Verdict, judge
from serving.rollouts.webhooks import Sent
from serving.state.rollout_counts import MOST_KEYS, StratumName

Counted = Mapping[StratumName, Mapping[str, int]]
# Workers bring what they counted once a second; a slice that has been over for three of these is complete.
GRACE_S = 3.0
# Of both arms alike: the first answers of a version fill caches.
WARM_UP_S = 5.0
# How long the stable version is measured, and how many of its answers are enough sooner.
MEASURE_LEAST_S, MEASURE_MOST_S, MEASURE_REQUESTS = 10.0, 60.0, 1_000
# After so long without a request that has a key, none is expected.
KEYLESS_S = 8.0
# One replica may be ended by anybody; so many take batches with them because of what they run.
MOST_CRASHES = 3


_STARTING = Said("waiting", "hold", "starting", "the canary's own replicas are being started")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known besides counts: why the canary's version cannot be used, and batches that crashes took, by arm.

    `faults` are gateway workers that died in a run, by the arm of the version that ran.

    `starting`: the replicas of its own are not there yet; `no_place` is why there will be none.
    `keys` of the rollout's sample are remembered.
    `agreed`: webhooks said yes to what they were asked since `confirming_s` of the rollout; `no` is why not yet.
    """

    unusable: str = ""
    crashes: tuple[int, int] = (0, 0)
    faults: tuple[int, int] = (0, 0)
    starting: bool = False
    no_place: str = ""
    keys: int = 0
    agreed: bool = False
    no: str = ""

    @property
    def hard_stop(self) -> str:
        """What needs no statistics, in words."""
        if self.unusable:
            return self.unusable
        on_canary, on_stable = self.faults
        if on_canary > on_stable:
            # One is enough: nobody else's signal looks like it, and each takes a worker with all its requests along.
            return f"gateway workers died in runs of the canary's version: {on_canary}, of the stable one's {on_stable}"
        on_canary, on_stable = self.crashes
        if on_canary >= MOST_CRASHES and on_canary > on_stable:
            return f"replicas of the canary's version crashed with {on_canary} batches, of the stable one's {on_stable}"
        return ""


def complete(rollout: Rollout, now_s: float, folded: int | None = None) -> int:
    """The last slice that takes no more counts; -1 before there is one.

    `folded` is the last one that is in evidence already, where that is not the rollout's own.
    """
    known = rollout.folded if folded is None else folded
    return max(known, int((now_s - rollout.began_s - GRACE_S) // SLICE_S) - 1, -1)


def measured(rollout: Rollout, counted: Counted, facts: Facts, now_s: float) -> Looked:
    """While the stable version is measured; at its end the first step begins."""
    if facts.hard_stop:
        return _stopped(rollout, facts, now_s)
    if facts.no_place:
        return given_up(rollout, "no_place", facts.no_place, now_s)
    seen, passed_s = Measurement.of(counted.values()), now_s - rollout.began_s
    if rollout.sticky is None:
        if seen.requests:
            rollout = replace(rollout, sticky=True)
        elif passed_s >= KEYLESS_S:
            return Looked(replace(rollout, sticky=False, began_s=now_s))
    # Batches may be large: a thousand answers of thirty runs would leave bounds where nobody measured.
    counted_enough = seen.requests >= MEASURE_REQUESTS and seen.ran >= FEWEST_RUNS
    enough = counted_enough and passed_s >= MEASURE_LEAST_S
    if rollout.sticky is None or not (enough or passed_s >= MEASURE_MOST_S):
        return Looked(rollout)
    if facts.starting:
        return Looked(replace(rollout, said=_STARTING))
    return _begun(rollout, seen, passed_s, now_s)


def judged(rollout: Rollout, counted: Counted, facts: Facts, now_s: float) -> Looked:
    """Fold what is complete, judge with what is not, and follow the verdict."""
    standing = rollout.standing
    if standing is None or standing.over:
        return Looked(rollout)
    if older := gone_on(rollout, now_s):
        return older
    rollout = sampled(rollout, facts)
    plan, gates = rollout.in_force(), rollout.gates()
    through = complete(rollout, now_s)
    strata = [stratum_counts(gates, name, fields) for name, fields in counted.items() if name.slice > rollout.folded]
    folded = rollout.folded_evidence(gates)
    done = [counts for counts in strata if counts.stratum.slice <= through]
    if done:
        folded = with_strata(gates, folded, done)
        rollout = guard_folded(rollout, _between(counted, rollout.folded, through))
    # Also where nothing was seen: slices that are closed are over.
    if through > rollout.folded:
        rollout = rollout.with_evidence(folded, through)
    still_open = [counts for counts in strata if counts.stratum.slice > through]
    look = Look(
        standing.judged_step,
        now_s - standing.since_s,
        hard_stop=facts.hard_stop,
        guardrail=guardrail.finding(whole_model(rollout, _between(counted, through, None))),
        accepted=standing.accepted,
    )
    evidence = with_strata(gates, folded, still_open)
    verdict = _allowed(standing.phase, judge(plan, gates, evidence, look))
    rollout, look = _confirming(rollout, look, verdict, facts, now_s)
    if look.unconfirmed:
        verdict = judge(plan, gates, evidence, look)
    after = transition.after_verdict(standing, plan, verdict, now_s)
    changed = replace(rollout, standing=after, said=Said.of(verdict))
    if after == standing:
        return Looked(changed)
    changed = replace(changed, confirming_s=0.0)
    return Looked(changed, _entry(rollout, changed, look, (gates, folded, still_open), now_s))


def unread(rollout: Rollout, why: str, facts: Facts, now_s: float) -> Looked:
    """A look that found no counts it could read: nothing is folded, so that none is lost once they can be again."""
    standing, plan = rollout.standing, rollout.in_force()
    if standing is None or standing.over:
        return Looked(rollout)
    if older := gone_on(rollout, now_s):
        return older
    elapsed_s = now_s - standing.since_s
    step = 0 if standing.shadowing else standing.judged_step
    look = Look(step, elapsed_s, hard_stop=facts.hard_stop, store_error=why, accepted=standing.accepted)
    gates = rollout.gates()
    folded = rollout.folded_evidence(gates)
    if standing.shadowing and plan.shadow is not None:
        verdict = shadow.judge(plan, plan.shadow, shadow.load(rollout.shadow), look)
    else:
        verdict = judge(plan, gates, folded, look)
    verdict = _allowed(standing.phase, verdict)
    after = transition.after_verdict(standing, plan, verdict, now_s)
    changed = replace(rollout, standing=after, said=Said.of(verdict))
    entry = None if after == standing else _entry(rollout, changed, look, (gates, folded, ()), now_s)
    return Looked(changed, entry)


def sampled(rollout: Rollout, facts: Facts) -> Rollout:
    """With a smaller sample of keys before there are more than can be remembered; the larger one is left as it is.

    Which keys are in it has nothing to do with their arm, so that no evidence leans either way.
    """
    kept = facts.keys - rollout.keys_out
    if kept <= MOST_KEYS:
        return rollout
    share = rollout.key_sample
    while kept > MOST_KEYS // 2:
        share, kept = share // 2, kept // 2
    return replace(rollout, key_sample=share, keys_out=facts.keys - kept)


def guard_folded(rollout: Rollout, done: Counted) -> Rollout:
    """With slices that are over in what the guardrail has seen."""
    settings = rollout.in_force().guardrail
    if settings is None or rollout.before is None:
        return rollout
    before = rollout.before
    guard = guardrail.with_slices(rollout.folded_guard(before), before, settings, _slices(rollout, done))
    return replace(rollout, guard=guardrail.dump(guard))


def whole_model(rollout: Rollout, still_open: Counted) -> list[Guarded]:
    """What the guardrail says, with slices that are not over yet; nothing where the plan has none."""
    settings = rollout.in_force().guardrail
    if settings is None or rollout.before is None:
        return []
    before = rollout.before
    guard = guardrail.with_slices(rollout.folded_guard(before), before, settings, _slices(rollout, still_open))
    return guardrail.guarded(guard, before, settings)


def _between(counted: Counted, after: int, through: int | None) -> Counted:
    last = inf if through is None else through
    return {name: fields for name, fields in counted.items() if after < name.slice <= last}


def _slices(rollout: Rollout, counted: Counted) -> list[SliceSeen]:
    return guardrail.slices(counted, (rollout.basis or Basis()).tails[1])


def shadowed(rollout: Rollout, counted: Counted, facts: Facts, now_s: float) -> Looked:
    """While copies go to the canary: fold what is complete, judge with what is not, and follow the verdict."""
    standing, plan = rollout.standing, rollout.in_force()
    if standing is None or plan.shadow is None:
        return Looked(rollout)
    rollout = sampled(rollout, facts)
    folded = shadow.load(rollout.shadow)
    through = complete(rollout, now_s, folded.folded)
    done, still_open = _between(counted, folded.folded, through), _between(counted, through, None)
    folded = replace(shadow.with_slices(plan.shadow, folded, done), folded=through)
    seen = shadow.with_slices(plan.shadow, folded, still_open)
    rollout = guard_folded(rollout, done)
    look = Look(
        0,
        now_s - standing.since_s,
        hard_stop=facts.hard_stop,
        guardrail=guardrail.finding(whole_model(rollout, still_open)),
        accepted=standing.accepted,
    )
    verdict = _allowed(standing.phase, shadow.judge(plan, plan.shadow, seen, look))
    rollout, look = _confirming(rollout, look, verdict, facts, now_s)
    if look.unconfirmed:
        verdict = shadow.judge(plan, plan.shadow, seen, look)
    after = transition.after_verdict(standing, plan, verdict, now_s)
    changed = replace(rollout, standing=after, said=Said.of(verdict), shadow=shadow.dump(folded))
    if after == standing:
        return Looked(changed)
    changed = _warmed(rollout, replace(changed, confirming_s=0.0), now_s)
    entry = told("controller", after.phase, rollout, changed, now_s) | {
        "verdict": asdict(changed.said),
        "look": {**asdict(look), "accepted": sorted(look.accepted)},
        "shadow": shadow.dump(folded),
        "open": {str(name): dict(fields) for name, fields in still_open.items()},
    }
    return Looked(changed, entry)


def replayed(entry: Mapping[str, Any], rollout: Rollout) -> Verdict:
    """The verdict that the counts of an audit entry give, by the rule as it is now."""
    if "shadow" in entry:
        return _replayed_shadow(entry, rollout)
    gates = rollout.gates()
    evidence = record.load(gates, entry["evidence"])
    still_open = [record.load_counts(gates, counts) for counts in entry["open"]]
    look = _look_of(entry["look"])
    return judge(rollout.in_force(), gates, with_strata(gates, evidence, still_open), look)


def _look_of(seen: Mapping[str, Any]) -> Look:
    return Look(
        seen["step"], seen["elapsed_s"], seen["hard_stop"], seen["guardrail"], seen["store_error"],
        frozenset(seen["accepted"]), seen.get("unconfirmed", ""), seen.get("waited_enough", False),
    )  # fmt: skip


def _replayed_shadow(entry: Mapping[str, Any], rollout: Rollout) -> Verdict:
    plan = rollout.in_force()
    stage = plan.shadow or ShadowStage(100, 0)
    still_open = {StratumName.parse(name): fields for name, fields in entry["open"].items()}
    evidence = shadow.with_slices(stage, shadow.load(entry["shadow"]), still_open)
    return shadow.judge(plan, stage, evidence, _look_of(entry["look"]))


def _warmed(before: Rollout, after: Rollout, now_s: float) -> Rollout:
    """The first step begins after the shadow stage: its first seconds count for neither arm."""
    was, now = before.standing, after.standing
    if was is None or now is None or not was.shadowing or now.shadowing:
        return after
    # Keys of copies are kept apart from those of the arms.
    return replace(after, count_from_s=now_s + WARM_UP_S, keys_out=0)


def _allowed(phase: Phase, verdict: Verdict) -> Verdict:
    """A rollout that waits for a person is ended by harm alone, not because time passes."""
    if phase in {Phase.STEP, Phase.SHADOW} or verdict.outcome is Outcome.FAIL:
        return verdict
    return replace(verdict, action=Action.HOLD)


def _confirming(rollout: Rollout, look: Look, verdict: Verdict, facts: Facts, now_s: float) -> tuple[Rollout, Look]:
    """Before an advance webhooks are asked, and it is held until they agree; a yes holds for this question alone."""
    hooks = [hook for hook in rollout.in_force().webhooks if hook.confirm]
    if not hooks or verdict.action is not Action.ADVANCE:
        return replace(rollout, confirming_s=0.0), look
    if rollout.confirming_s and facts.agreed:
        return rollout, look
    since_s = rollout.confirming_s or now_s
    why = facts.no or ", ".join(hook.host for hook in hooks)
    enough = now_s - since_s >= min(hook.wait_s for hook in hooks)
    return replace(rollout, confirming_s=since_s), replace(look, unconfirmed=why, waited_enough=enough)


def _begun(rollout: Rollout, seen: Measurement, passed_s: float, now_s: float) -> Looked:
    sticky = rollout.sticky
    if not seen.requests:
        # Nobody knows whether requests to come have keys: counted by key, those without only say too little.
        sticky = True
    begun = replace(
        rollout,
        sticky=sticky,
        requests_per_min=60 * seen.requests / passed_s,
        basis=seen.basis(),
        before=seen.before(goal=rollout.goal_us > 0),
        began_s=now_s,
        count_from_s=now_s + WARM_UP_S,
    )
    begun = replace(begun, standing=transition.start(begun.in_force(), now_s))
    basis = begun.basis.dump() if begun.basis else None
    entry = told("controller", "begun", rollout, begun, now_s) | {"basis": basis, "requests": seen.requests}
    if seen.over[0] < FEWEST_RUNS:
        bounds = f"{seen.over[0]:,} runs were measured, of {FEWEST_RUNS} needed: latency is judged by default bounds"
        entry["why"] = "; ".join(filter(None, (entry["why"], bounds)))
    return Looked(begun, entry)


def _stopped(rollout: Rollout, facts: Facts, now_s: float) -> Looked:
    said = Said("fail", "rollback", "hard_stop", facts.hard_stop)
    standing = transition.Standing(Phase.ROLLED_BACK, 0, now_s, facts.hard_stop)
    stopped = replace(rollout, standing=standing, said=said)
    return Looked(stopped, told("controller", "rolled_back", rollout, stopped, now_s))


def _entry(
    before: Rollout, after: Rollout, look: Look, seen: tuple[GateSet, Evidence, Sequence[StratumCounts]], now_s: float
) -> dict[str, Any]:
    gates, folded, still_open = seen
    return told("controller", after.phase, before, after, now_s) | {
        "verdict": asdict(after.said),
        "look": {**asdict(look), "accepted": sorted(look.accepted)},
        "evidence": record.dump(folded),
        "open": [record.dump_counts(gates, counts) for counts in still_open],
    }


def untold(rollout: Rollout, sent: Sent, now_s: float) -> dict[str, Any]:
    """A message that a webhook did not get, for the audit."""
    entry = told("controller", "webhook", rollout, rollout, now_s)
    return {**entry, "why": f"{sent.host} was not told: {sent.failure}"}


def ordered(rollout: Rollout, who: str, what: str, standing: transition.Standing, now_s: float) -> Looked:
    """After a person's order."""
    after = _warmed(rollout, replace(rollout, standing=standing, confirming_s=0.0), now_s)
    if standing.over:
        after = replace(after, said=Said("error", "hold", what, standing.reason))
    return Looked(after, told(who, what, rollout, after, now_s))
