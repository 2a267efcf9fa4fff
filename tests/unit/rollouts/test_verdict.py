"""Verdicts: what decides first, what waits, what is inconclusive, and that each says why with its numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.rollouts.evidence import Evidence, nothing, with_strata
from serving.rollouts.gate import Gate, GateSet
from serving.rollouts.plan import DEFAULT_GATES, Otherwise, Plan, Step, gates_of
from serving.rollouts.stratum import Stratum, per_request
from serving.rollouts.verdict import Action, Look, Outcome, Verdict, judge
from serving.rollouts.world import measured

PLAN = Plan((Step(1_000, 300, 3_600), Step(5_000, 600, 7_200)))
GATES = GateSet(gates_of(PLAN, measured()))
IN_TIME = Look(step=0, elapsed_s=400.0)
TOO_LATE = Look(step=0, elapsed_s=3_600.0)


def runs_of_one_row(gate: Gate) -> list[int]:
    return list(GATES.runs_of(gate)[:1])


def seen(requests: tuple[int, int] = (500, 4_500), step: int = 0, **events: tuple[int, int]) -> Evidence:
    """Evidence of one step in which so many events of gates' first bins were seen; each request ran by itself."""
    rows = np.zeros((2, GATES.columns), np.int64)
    for gate in GATES.gates:
        rows[:, runs_of_one_row(gate)] = np.array(requests)[:, None]
    for name, counts in events.items():
        rows[:, GATES.firsts[name]] = counts
    stratum = Stratum(step, step, step, PLAN.steps[step].weight_bp)
    return with_strata(GATES, nothing(GATES), [per_request(stratum, np.array(requests), rows[0], rows[1])])


def verdict(evidence: Evidence, look: Look = IN_TIME, plan: Plan = PLAN) -> Verdict:
    return judge(plan, GATES, evidence, look)


def drifted() -> Evidence:
    rows = np.zeros((2, GATES.columns), np.int64)
    rows[0, GATES.firsts["scores"] + 9] = 100
    rows[1, GATES.firsts["scores"] : GATES.firsts["scores"] + 10] = 90
    counts = per_request(Stratum(0, 0, 0, 1_000), np.array([500, 4_500]), rows[0], rows[1])
    return with_strata(GATES, nothing(GATES), [counts])


def test_a_canary_like_the_stable_version_goes_on_after_its_time() -> None:
    found = verdict(seen(errors=(5, 45)))
    assert (found.outcome, found.action, found.reason) == (Outcome.PASS, Action.ADVANCE, "step_passed")
    assert {reading.gate.name for reading in found.readings} == set(DEFAULT_GATES)


def test_many_errors_roll_back_and_the_sentence_has_the_numbers() -> None:
    found = verdict(seen(errors=(40, 45)))
    assert (found.outcome, found.action, found.reason) == (Outcome.FAIL, Action.ROLLBACK, "errors")
    assert "errors 40/500 on the canary against 45/4,500: 8 times as many; evidence" in found.sentence
    assert "where 50 decide" in found.sentence


def test_a_hard_stop_needs_no_counts() -> None:
    found = verdict(nothing(GATES), Look(0, 1.0, hard_stop="replica 3 crashed 3 times in 60 s"))
    assert (found.action, found.reason) == (Action.ROLLBACK, "hard_stop")
    assert found.sentence == "replica 3 crashed 3 times in 60 s"


def test_few_events_and_few_requests_decide_nothing_yet() -> None:
    assert verdict(seen((40, 4_500), errors=(40, 1))).action is not Action.ROLLBACK
    assert verdict(seen((500, 4_500), errors=(4, 0))).action is not Action.ROLLBACK
    assert verdict(seen((500, 4_500), errors=(8, 0))).action is Action.ROLLBACK


def test_before_its_time_a_step_holds() -> None:
    found = verdict(seen(errors=(5, 45)), replace(IN_TIME, elapsed_s=30.0))
    assert (found.outcome, found.action, found.reason) == (Outcome.WAITING, Action.HOLD, "too_early")


def test_a_warning_holds_and_foretells_what_would_decide() -> None:
    found = verdict(seen(errors=(14, 45)))
    assert (found.outcome, found.action, found.reason) == (Outcome.WAITING, Action.HOLD, "warning")
    assert "of 50 needed; about" in found.sentence
    assert found.sentence.endswith("more would decide")


@pytest.mark.parametrize("otherwise", [Otherwise.PAUSE, Otherwise.ADVANCE])
def test_a_warning_never_advances_by_itself(otherwise: Otherwise) -> None:
    found = verdict(seen(errors=(14, 45)), TOO_LATE, replace(PLAN, on_inconclusive=otherwise))
    assert (found.outcome, found.action) == (Outcome.INCONCLUSIVE, Action.PAUSE)


@pytest.mark.parametrize(
    ("otherwise", "action"),
    [(Otherwise.PAUSE, Action.PAUSE), (Otherwise.ABORT, Action.ROLLBACK), (Otherwise.ADVANCE, Action.ADVANCE)],
)
def test_no_traffic_is_inconclusive_and_the_plan_says_what_follows(otherwise: Otherwise, action: Action) -> None:
    plan = replace(PLAN, on_no_data=otherwise)
    assert verdict(nothing(GATES), IN_TIME, plan).action is Action.HOLD
    found = verdict(nothing(GATES), TOO_LATE, plan)
    assert (found.outcome, found.action, found.reason) == (Outcome.INCONCLUSIVE, action, "no_traffic")
    assert verdict(seen((10, 90)), TOO_LATE, plan).reason == "few_requests"


def test_counts_that_cannot_be_read_are_an_error_and_never_pass() -> None:
    look = Look(0, 400.0, store_error="the control Redis is away")
    assert verdict(seen(errors=(5, 45)), look).outcome is Outcome.ERROR
    assert verdict(seen(errors=(5, 45)), look).action is Action.HOLD
    assert verdict(seen(errors=(5, 45)), replace(look, elapsed_s=3_600.0)).action is Action.PAUSE


def test_drift_pauses_unless_it_is_expected_or_accepted() -> None:
    assert (verdict(drifted()).action, verdict(drifted()).reason) == (Action.PAUSE, "scores")
    assert verdict(drifted(), plan=replace(PLAN, expect_drift=True)).action is Action.ADVANCE
    assert verdict(drifted(), replace(IN_TIME, accepted=frozenset({"scores"}))).action is Action.ADVANCE


def test_a_broken_split_pauses_before_anything_else_is_believed() -> None:
    found = verdict(seen(errors=(40, 45), split=(500, 2_000)))
    assert (found.action, found.reason) == (Action.PAUSE, "split")
    assert "500 of 2,500 assignments went to the canary, 2.25 times its weight" in found.sentence


def test_what_hurts_both_arms_pauses() -> None:
    look = replace(IN_TIME, guardrail="the model fails 4 times as often as before the start")
    assert (verdict(seen(), look).action, verdict(seen(), look).reason) == (Action.PAUSE, "guardrail")
    assert verdict(seen(), replace(look, accepted=frozenset({"guardrail"}))).action is Action.ADVANCE


def test_the_last_step_asks_for_proof_and_earlier_ones_do_not() -> None:
    last = Look(1, 700.0)
    found = verdict(seen((500, 500), step=1, errors=(5, 5)), last)
    assert (found.outcome, found.action, found.reason) == (Outcome.WAITING, Action.HOLD, "unproven")
    assert "errors: not yet shown to be less than 1.75 times as many" in found.sentence
    assert verdict(seen((20_000, 20_000), step=1, errors=(200, 200)), last).action is Action.ADVANCE
    assert verdict(seen((500, 500), step=1), replace(last, elapsed_s=7_200.0)).outcome is Outcome.INCONCLUSIVE


def test_counts_of_the_step_before_do_not_count_for_this_one() -> None:
    assert verdict(seen((20_000, 20_000)), Look(1, 700.0)).reason == "no_traffic"
