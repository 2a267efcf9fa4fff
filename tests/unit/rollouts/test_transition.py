"""Where a rollout stands: which orders and verdicts move it, and that the weight never grows by anything else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest
from serving.rollouts.plan import Plan, ShadowStage, Step
from serving.rollouts.transition import Order, Phase, Standing, after_order, after_verdict, start, weight_bp
from serving.rollouts.verdict import Action, Outcome, Verdict

PLAN = Plan((Step(100, 60, 600), Step(1_000, 60, 600), Step(5_000, 60, 600)))
APPROVED = replace(PLAN, steps=(PLAN.steps[0], replace(PLAN.steps[1], approval=True), PLAN.steps[2]))


def says(action: Action, gate: str = "") -> Verdict:
    return Verdict(Outcome.WAITING, action, "why", "because", gate=gate)


def after(standing: Standing, *actions: Action, plan: Plan = PLAN) -> Standing:
    for action in actions:
        standing = after_verdict(standing, plan, says(action), standing.since_s + 60)
    return standing


def test_a_good_canary_goes_through_all_steps_to_the_end() -> None:
    standing, weights = start(PLAN, 0.0), []
    while not standing.over:
        weights.append(weight_bp(standing, PLAN))
        standing = after(standing, Action.HOLD, Action.ADVANCE)
    assert weights == [100, 1_000, 5_000]
    assert standing.phase is Phase.PROMOTED
    assert weight_bp(standing, PLAN) == 10_000


def test_a_rollback_takes_all_weight_and_stands() -> None:
    standing = after(start(PLAN, 0.0), Action.ADVANCE, Action.ROLLBACK)
    assert standing.phase is Phase.ROLLED_BACK
    assert weight_bp(standing, PLAN) == 0
    assert standing.reason == "because"
    assert after(standing, Action.ADVANCE, Action.PAUSE) == standing


def test_a_paused_canary_keeps_its_weight_is_still_judged_and_goes_on_only_when_told() -> None:
    paused = after(start(PLAN, 0.0), Action.ADVANCE, Action.PAUSE)
    assert weight_bp(paused, PLAN) == 1_000
    assert after(paused, Action.ADVANCE) == paused
    assert after(paused, Action.ROLLBACK).phase is Phase.ROLLED_BACK
    resumed = after_order(paused, PLAN, Order.RESUME, 999.0)
    assert (resumed.phase, resumed.step, resumed.since_s) == (Phase.STEP, 1, 999.0)


def test_who_resumes_accepts_the_gate_that_paused() -> None:
    paused = after_verdict(start(PLAN, 0.0), PLAN, says(Action.PAUSE, "scores"), 60.0)
    assert after_order(paused, PLAN, Order.RESUME, 90.0).accepted == {"scores"}


def test_a_step_that_needs_approval_waits_at_the_weight_before() -> None:
    waiting = after(start(APPROVED, 0.0), Action.ADVANCE, plan=APPROVED)
    assert waiting.phase is Phase.AWAITING_APPROVAL
    assert waiting.judged_step == 0
    assert weight_bp(waiting, APPROVED) == 100
    assert after(waiting, Action.ADVANCE, plan=APPROVED) == waiting
    assert weight_bp(after_order(waiting, APPROVED, Order.PROMOTE, 500.0), APPROVED) == 1_000


def test_a_first_step_that_needs_approval_waits_without_traffic() -> None:
    plan = replace(PLAN, steps=(replace(PLAN.steps[0], approval=True), *PLAN.steps[1:]))
    assert weight_bp(start(plan, 0.0), plan) == 0


def test_a_shadow_stage_comes_before_any_traffic() -> None:
    plan = replace(PLAN, shadow=ShadowStage(10, 600))
    assert start(plan, 0.0).phase is Phase.SHADOW
    assert weight_bp(start(plan, 0.0), plan) == 0
    assert weight_bp(after(start(plan, 0.0), Action.ADVANCE, plan=plan), plan) == 100


def test_a_pause_of_the_shadow_stage_gives_no_share_and_goes_back_to_it() -> None:
    plan = replace(PLAN, shadow=ShadowStage(10, 600))
    paused = after(start(plan, 0.0), Action.PAUSE, plan=plan)
    assert paused.phase is Phase.PAUSED
    assert paused.shadowing
    assert weight_bp(paused, plan) == 0
    assert after_order(paused, plan, Order.RESUME, 90.0).phase is Phase.SHADOW
    first = after_order(paused, plan, Order.PROMOTE, 90.0)
    assert (first.phase, first.step, first.shadowing, weight_bp(first, plan)) == (Phase.STEP, 0, False, 100)
    # A pause of a step later on is one of that step.
    assert weight_bp(after(first, Action.PAUSE, plan=plan), plan) == 100


def test_frozen_nothing_changes_but_by_order() -> None:
    frozen = after_order(start(PLAN, 0.0), PLAN, Order.FREEZE, 10.0)
    assert after(frozen, Action.ADVANCE, Action.ROLLBACK, Action.PAUSE) == frozen
    assert after_order(frozen, PLAN, Order.ABORT, 20.0).phase is Phase.ABORTED
    thawed = after_order(frozen, PLAN, Order.UNFREEZE, 30.0)
    assert after(thawed, Action.ADVANCE).step == 1


@pytest.mark.parametrize("phase", [Phase.PROMOTED, Phase.ROLLED_BACK, Phase.ABORTED])
@pytest.mark.parametrize("order", list(Order))
def test_after_the_end_every_order_is_refused_with_a_sentence(phase: Phase, order: Order) -> None:
    with pytest.raises(BadRequest, match="nothing follows that"):
        after_order(Standing(phase, 1, 0.0), PLAN, order, 1.0)


def test_an_order_that_makes_no_sense_says_what_is_possible() -> None:
    with pytest.raises(BadRequest, match="is step, so resume does nothing; what is possible: abort, freeze, pause"):
        after_order(start(PLAN, 0.0), PLAN, Order.RESUME, 1.0)


@given(st.lists(st.one_of(st.sampled_from(list(Action)), st.sampled_from(list(Order))), max_size=30), st.booleans())
def test_the_weight_grows_only_by_advance_or_a_person_and_never_skips_a_step(
    moves: list[Action | Order],
    shadow: bool,
) -> None:
    standing = start(replace(APPROVED, shadow=ShadowStage(10, 600) if shadow else None), 0.0)
    for now_s, move in enumerate(moves):
        before = weight_bp(standing, APPROVED)
        if isinstance(move, Action):
            standing = after_verdict(standing, APPROVED, says(move), float(now_s))
            grows = move is Action.ADVANCE
        else:
            grows = move in {Order.PROMOTE, Order.PROMOTE_FULL, Order.RESUME}
            try:
                standing = after_order(standing, APPROVED, move, float(now_s))
            except BadRequest:
                continue
        weights = [0, *(step.weight_bp for step in APPROVED.steps), 10_000]
        now = weight_bp(standing, APPROVED)
        assert now <= before or grows
        if move is not Order.PROMOTE_FULL:
            assert now in {0, before} or weights.index(now) == weights.index(before) + 1
