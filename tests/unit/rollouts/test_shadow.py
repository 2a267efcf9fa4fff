"""What pairs of answers come to, and that nothing depends on how they are brought."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.rollouts.measuring import Basis
from serving.rollouts.plan import Plan, ShadowGate, ShadowStage, Step
from serving.rollouts.rollout import Rollout
from serving.rollouts.shadow import ShadowEvidence, delta_edges, dump, judge, load, readings, with_slices
from serving.rollouts.shadow_view import shadow_view
from serving.rollouts.transition import Phase, Standing
from serving.rollouts.verdict import Action, Look, Outcome
from serving.state.rollout_counts import StratumName

STAGE = ShadowStage(
    10, 60, 600, {"flips": ShadowGate(0.02), "deltas": ShadowGate(0.05), "errors": ShadowGate(0.01)}, margin=0.07
)
PLAN = Plan((Step(1_000, 60, 600),), shadow=STAGE)
BINS = ("copies.ok", "copies.failed", "flips.0", "flips.1", "deltas.0", "deltas.9", "copies.dropped")
Counted = dict[StratumName, dict[str, int]]


def counted(time_slice: int, **events: int) -> Counted:
    named = {name.replace("_", "."): count for name, count in events.items()}
    rows = {f"{row}|{name}": count for row in (0, 2, 4) for name, count in named.items()}
    return {StratumName(time_slice, 3, 0, 0): rows}


def seen(**events: int) -> ShadowEvidence:
    return with_slices(STAGE, ShadowEvidence(), counted(0, **events))


def test_scores_further_apart_than_the_margin_count_and_those_just_as_far_do_not() -> None:
    edges = delta_edges(STAGE)
    at_margin, above = edges.index(0.07), edges.index(0.07) + 1
    found = {one.name: one for one in readings(STAGE, seen(**{f"deltas_{at_margin}": 30, f"deltas_{above}": 4}))}
    assert (found["deltas"].events, found["deltas"].pairs) == (4, 34)


def test_before_its_time_nothing_is_passed_and_harm_ends_it_at_once() -> None:
    clean = seen(copies_ok=3_000, flips_0=3_000, deltas_0=3_000)
    assert judge(PLAN, STAGE, clean, Look(0, 59.0)).action is Action.HOLD
    assert judge(PLAN, STAGE, clean, Look(0, 60.0)).action is Action.ADVANCE
    flipped = judge(PLAN, STAGE, seen(copies_ok=200, flips_0=180, flips_1=20, deltas_0=200), Look(0, 5.0))
    assert (flipped.outcome, flipped.action, flipped.reason) == (Outcome.FAIL, Action.ROLLBACK, "shadow_flips")


def test_a_few_events_or_few_pairs_end_nothing_yet() -> None:
    few = judge(PLAN, STAGE, seen(copies_ok=49, flips_0=30, flips_1=19, deltas_0=49), Look(0, 700.0))
    assert few.reason == "few_pairs"
    four = judge(PLAN, STAGE, seen(copies_ok=56, copies_failed=4, flips_0=56, deltas_0=56), Look(0, 5.0))
    assert four.action is Action.HOLD


def test_copies_that_were_dropped_hide_no_failures() -> None:
    """One that hangs rests after each run, and nearly all of its copies are dropped meanwhile."""
    hung = seen(copies_failed=60, copies_dropped=100_000)
    found = {one.name: one for one in readings(STAGE, hung)}
    assert (found["errors"].events, found["errors"].pairs) == (60, 60)
    assert judge(PLAN, STAGE, hung, Look(0, 5.0)).reason == "shadow_errors"


def test_scores_that_cannot_be_compared_are_no_proof() -> None:
    verdict = judge(PLAN, STAGE, seen(copies_ok=3_000), Look(0, 601.0))
    assert (verdict.outcome, verdict.reason, verdict.action) == (Outcome.INCONCLUSIVE, "shadow_unproven", Action.PAUSE)
    assert "no pair could be compared (the model's score" in verdict.sentence


def test_a_hard_stop_needs_no_pairs() -> None:
    assert judge(PLAN, STAGE, ShadowEvidence(), Look(0, 1.0, hard_stop="its file is gone")).action is Action.ROLLBACK


SLICES = st.lists(st.dictionaries(st.sampled_from(BINS), st.integers(1, 60)), min_size=1, max_size=12)


@settings(deadline=None)
@given(SLICES, st.integers(0, 12))
def test_a_restart_between_any_two_slices_gives_the_same_evidence(slices: list[dict[str, int]], cut: int) -> None:
    parts: list[Counted] = [
        {StratumName(place, 3, 0, 0): {f"0|{name}": count for name, count in events.items()}}
        for place, events in enumerate(slices)
    ]
    whole = with_slices(STAGE, ShadowEvidence(), {name: fields for part in parts for name, fields in part.items()})
    kept = ShadowEvidence()
    for place, part in enumerate(parts):
        if place == cut:
            kept = load(json.loads(json.dumps(dump(kept))))
        kept = with_slices(STAGE, kept, part)
    assert dump(kept) == dump(whole)
    assert readings(STAGE, kept) == readings(STAGE, whole)


def test_people_see_pairs_distances_times_side_by_side_and_the_largest_differences() -> None:
    plan = {"shadow": {"percent": 10, "gates": {"flips": {"largest": 0.02}}}}
    basis = Basis(latency_bounds_us=(1_000, 2_000), tails=(0, 1))
    held = Rollout("r", "m", stable=1, canary=2, plan=plan, started_s=1.0, began_s=2.0, basis=basis)
    held = replace(held, standing=Standing(Phase.SHADOW, 0, 3.0))
    events = {"copies_ok": 10, "copies_dropped": 3, "flips_0": 9, "flips_1": 1, "deltas_0": 10}
    rows = counted(4, **events) | counted(5, runs_0_1=8, runs_0_2=2)
    shown = shadow_view(held, rows, [{"request_id": "a"}])
    assert shown is not None
    assert shown["copies"] == {"ok": 10, "failed": 0, "dropped": 3}
    assert shown["decisions"] == {"same": 9, "otherwise": 1}
    assert shown["deltas"] == [{"up_to": 1e-6, "pairs": 10}]
    assert shown["runs"]["stable"] == {"p50_us": 1_000, "p90_us": 1_000, "p99_us": 1_000}
    assert shown["runs"]["shadow"] == {"p50_us": 2_000, "p90_us": None, "p99_us": None}
    assert [gate["name"] for gate in shown["gates"]] == ["errors", "flips"]
    assert shown["differences"] == [{"request_id": "a"}]
    assert shadow_view(replace(held, plan={}), {}, []) is None
