"""The shipped rule against a described world, as fast as it can be drawn: what `sluice rollout simulate` shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from serving.rollouts import guardrail, transition
from serving.rollouts.evidence import nothing, with_strata
from serving.rollouts.gate import GateSet
from serving.rollouts.guardrail import Before, SliceSeen
from serving.rollouts.plan import Plan, gates_of
from serving.rollouts.simulated_traffic import before_start, traffic_of
from serving.rollouts.stratum import EVERY, SLICE_S, Stratum, StratumCounts
from serving.rollouts.transition import Phase, Standing
from serving.rollouts.verdict import Look, Verdict, judge
from serving.rollouts.world import World, measured
from serving.state.rollout_counts import STABLE

# A plan that ends by itself is over long before.
_MOST_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Result:
    """How a rollout ended, when, and how many answers of the canary were errors."""

    phase: Phase
    at_s: float
    reason: str
    sentence: str
    canary_requests: int


class Judge(Protocol):
    """Whoever decides: the shipped rule, or what it is compared with."""

    def look(self, counts: StratumCounts, look: Look) -> Verdict:
        """What follows from the counts since the last look, and all before."""


class ShippedRule:
    """Evidence and verdict as the controller has them; the slice that is not over is added to a copy at each look.

    Without `before` there is no guardrail, as where nothing could be measured.
    """

    def __init__(self, plan: Plan, gates: GateSet, before: Before | None = None) -> None:
        self._plan, self._gates, self._before = plan, gates, before
        self._folded = self._latest = nothing(gates)
        self._guard = self._guard_latest = guardrail.begin(before or Before((0, 0), (0, 0)))
        self._open: StratumCounts | None = None

    def look(self, counts: StratumCounts, look: Look) -> Verdict:
        """One more tick of counts, and the verdict."""
        if self._open is not None and self._open.stratum != counts.stratum:
            self._folded, self._guard, self._open = self._latest, self._guard_latest, None
        self._open = counts if self._open is None else self._open.plus(counts)
        self._latest = with_strata(self._gates, self._folded, [self._open])
        return judge(self._plan, self._gates, self._latest, replace(look, guardrail=self._finding(self._open)))

    def _finding(self, still_open: StratumCounts) -> str:
        settings = self._plan.guardrail
        if settings is None or self._before is None:
            return ""
        seen = _whole_model(self._gates, still_open)
        self._guard_latest = guardrail.with_slices(self._guard, self._before, settings, [seen])
        return guardrail.finding(guardrail.guarded(self._guard_latest, self._before, settings))


def simulate(  # noqa: PLR0913, PLR0917 - a world, and what judges it
    world: World,
    plan: Plan,
    seed: int,
    rule: Judge | None = None,
    most_s: float = _MOST_S,
    gates: GateSet | None = None,
) -> Result:
    """One rollout from its start to its end, or to the first pause; the same seed is the same rollout.

    `rule` is one of `gates`, where these are not those of the plan.
    """
    gates = gates or GateSet(gates_of(plan, measured()))
    # Draws of its own, so that the traffic is the same with it and without.
    rule = rule or ShippedRule(plan, gates, before_start(world, np.random.default_rng((seed, 1))))
    traffic = traffic_of(world, gates, np.random.default_rng(seed))
    standing, now_s, requests, verdict = transition.start(plan, 0.0), 0.0, 0, None
    while standing.phase is Phase.STEP and now_s < most_s:
        length_s = 1 if now_s >= world.fine_from_s else world.look_s
        counts = traffic.tick(_stratum(standing, plan, now_s), now_s, length_s)
        now_s += length_s
        requests += int(counts.requests[0])
        verdict = rule.look(counts, Look(standing.step, now_s - standing.since_s, accepted=standing.accepted))
        standing = transition.after_verdict(standing, plan, verdict, now_s)
    reason, sentence = (verdict.reason, verdict.sentence) if verdict else ("", "")
    return Result(standing.phase, now_s, reason, sentence, requests)


def _whole_model(gates: GateSet, counts: StratumCounts) -> SliceSeen:
    """As the guardrail sees it; of a goal for the whole time of a request worlds say nothing."""
    every, slow, ran = counts.events[EVERY], 0, 0
    requests, errors = int(counts.requests.sum()), int(every[:, gates.firsts["errors"]].sum())
    for gate in gates.gates:
        if gate.name == "latency":
            slow = int(gates.by_bin(gate, every)[STABLE, measured().tails[1]])
            ran = int(gates.of(gate, every, counts.requests)[STABLE])
    return SliceSeen(counts.stratum.slice, (requests, ran), (errors, slow))


def _stratum(standing: Standing, plan: Plan, now_s: float) -> Stratum:
    weight_bp = transition.weight_bp(standing, plan)
    return Stratum(int(now_s // SLICE_S), standing.step, standing.step, weight_bp)
