"""The guardrail over the whole model: fair at what is allowed, blind to a day's ups, quick where both arms break."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from serving.rollouts import guardrail
from serving.rollouts.confidence import rate_interval
from serving.rollouts.guardrail import Before, Guard, SliceSeen
from serving.rollouts.plan import GuardrailSettings, Plan, Step, default_steps
from serving.rollouts.simulation import Result, simulate
from serving.rollouts.transition import Phase
from serving.rollouts.world import Fault, World
from serving.state.rollout_counts import StratumName

SETTINGS = GuardrailSettings()
BEFORE = Before((1_000, 800), (5, 8))
HOURS = Plan((Step(1_000, 3 * 3_600, 3 * 3_600),))


def after(seen: list[SliceSeen], before: Before = BEFORE, settings: GuardrailSettings = SETTINGS) -> Guard:
    return guardrail.with_slices(guardrail.begin(before), before, settings, seen)


def evidence(guard: Guard, before: Before = BEFORE, settings: GuardrailSettings = SETTINGS) -> list[float]:
    return [one.evidence for one in guardrail.guarded(guard, before, settings)]


def at_rates(errors: float, slow: float, count: int, first: int = 0) -> list[SliceSeen]:
    return [SliceSeen(first + place, (100, 100), (round(100 * errors), round(100 * slow))) for place in range(count)]


def test_a_bet_is_fair_at_what_is_allowed_and_loses_below_it() -> None:
    _, highest = rate_interval(BEFORE.events[0], BEFORE.of[0], SETTINGS.alpha)
    allowed = SETTINGS.allowed * highest
    with_it, without = (evidence(after([SliceSeen(0, (1, 1), (errors, 0))]))[0] for errors in (1, 0))
    assert allowed * with_it + (1 - allowed) * without == pytest.approx(1.0)
    assert 0.5 * allowed * with_it + (1 - 0.5 * allowed) * without < 0.999


def test_both_arms_broken_is_found_within_some_seconds_and_said_with_its_numbers() -> None:
    guard = after([*at_rates(0.01, 0.01, 100), *at_rates(0.6, 0.01, 2, first=100)])
    errors, slow = guardrail.guarded(guard, BEFORE, SETTINGS)
    assert (errors.broken, slow.broken) == (True, False)
    assert guardrail.finding([errors, slow]).startswith(
        "errors of the whole model 130/1,200 in the last 60 s against 5/1,000 before the start: 22 times as many; "
    )
    assert "where 1,000 decide" in guardrail.finding([errors, slow])


def test_slow_answers_of_both_arms_are_found_too() -> None:
    slow = guardrail.guarded(after(at_rates(0.0, 0.5, 6)), BEFORE, SETTINGS)[1]
    assert slow.broken
    assert "slow runs of the stable version 300/600 in the last 60 s against 8/800" in guardrail.sentence(slow)


def test_a_machine_that_stalls_for_some_seconds_is_no_finding() -> None:
    """As seen of identical versions: slow runs one after the other, a hundred of them within one slice or two."""
    before = Before((3_107, 3_107), (0, 14))
    calm = [SliceSeen(place, (1_500, 1_500), (0, 7)) for place in range(2)]
    stalled = [SliceSeen(2, (441, 441), (0, 79)), SliceSeen(3, (1_500, 1_500), (0, 118))]
    assert not guardrail.guarded(after([*calm, *stalled], before), before, SETTINGS)[1].broken
    lasting = [SliceSeen(2 + place, (1_500, 1_500), (0, 750)) for place in range(2)]
    assert guardrail.guarded(after([*calm, *lasting], before), before, SETTINGS)[1].broken


def test_answers_over_the_goal_are_looked_at_where_there_is_one() -> None:
    fields = {"4|late_runs": 10, "5|late_runs": 30, "5|slow.1.0": 50, "5|slow.2.3": 4, "5|split": 90}
    fields |= {"4|ran.0": 10, "5|ran.0": 50, "5|ran.3": 20}
    counted = {StratumName(place, 1, 0, 1_000): {"requests|0": 10, "requests|1": 90, **fields} for place in range(4)}
    seen = guardrail.slices(counted, tail=2)
    assert seen[3] == SliceSeen(3, (100, 70, 80), (0, 4, 40))
    with_goal = Before((1_000, 800, 800), (5, 8, 1))
    for before, found in ((with_goal, ["over_goal"]), (BEFORE, [])):
        guarded = guardrail.guarded(after(seen, before), before, SETTINGS)
        assert [one.name for one in guarded if one.broken] == found
    assert "runs with answers over the latency goal of the whole model 160/320" in guardrail.finding(
        guardrail.guarded(after(seen, with_goal), with_goal, SETTINGS)
    )


def test_no_more_is_late_than_there_was() -> None:
    name = StratumName(0, 1, 0, 1_000)
    (seen,) = guardrail.slices({name: {"4|late_runs": 90, "4|ran.0": 10, "requests|0": 90}}, tail=2)
    assert seen == SliceSeen(0, (90, 0, 10), (0, 0, 10))


def test_slow_runs_of_the_canary_alone_are_for_its_gate() -> None:
    name = StratumName(0, 1, 0, 5_000)
    fields = {"requests|0": 90, "requests|1": 90, "4|ran.0": 80, "4|slow.2.0": 70, "5|ran.0": 60, "5|slow.2.0": 3}
    (seen,) = guardrail.slices({name: fields}, tail=2)
    assert seen == SliceSeen(0, (180, 60, 140), (0, 3, 0))


def test_what_an_earlier_release_counted_of_answers_is_not_taken_for_runs() -> None:
    name = StratumName(0, 1, 0, 1_000)
    (seen,) = guardrail.slices({name: {"4|over_goal": 5, "4|latency.2": 5, "4|ran.0": 10, "requests|0": 90}}, tail=2)
    assert seen == SliceSeen(0, (90, 0, 10), (0, 0, 0))


def test_what_an_earlier_release_began_without_a_goal_goes_on() -> None:
    document = guardrail.dump(after(at_rates(0.02, 0.03, 20)))
    held = guardrail.load(json.loads(json.dumps(document)), BEFORE)
    seen = [SliceSeen(20, (100, 90, 90), (60, 0, 0)), SliceSeen(21, (100, 90, 90), (60, 0, 0))]
    errors, _ = guardrail.guarded(guardrail.with_slices(held, BEFORE, SETTINGS, seen), BEFORE, SETTINGS)
    assert errors.broken


def test_of_what_an_earlier_release_counted_of_answers_errors_alone_are_watched_on() -> None:
    guard = after(at_rates(0.3, 0.03, 20))
    document = json.loads(json.dumps(guardrail.dump(guard))) | {"recent": [[19, 100, 30, 3]]}
    before = Before.load([1_000, [5, 8]])
    (errors,) = guardrail.guarded(guardrail.load(document, before), before, SETTINGS)
    assert errors.evidence == evidence(guard)[0]
    assert errors.before == (5, 1_000)


def test_where_hardly_anything_was_seen_before_nothing_is_found() -> None:
    few = Before((10, 10), (0, 0))
    assert max(evidence(after(at_rates(1.0, 1.0, 50), few), few)) == pytest.approx(1.0)
    assert max(
        evidence(after(at_rates(1.0, 1.0, 50), Before((0, 0), (0, 0))), Before((0, 0), (0, 0)))
    ) == pytest.approx(1.0)


def test_it_goes_on_after_a_restart_to_the_last_bit() -> None:
    seen = [*at_rates(0.02, 0.03, 20), *at_rates(0.4, 0.03, 3, first=20)]
    once, held = after(seen), guardrail.begin(BEFORE)
    for one in seen:
        held = guardrail.load(json.loads(json.dumps(guardrail.dump(held))), BEFORE)
        held = guardrail.with_slices(held, BEFORE, SETTINGS, [one])
    assert np.array_equal(once.process.a, held.process.a)
    assert once.recent == held.recent


def stopped_by_it(results: list[Result]) -> int:
    return sum(result.reason == "guardrail" for result in results)


@pytest.mark.parametrize("keys", [0, 20_000], ids=["per request", "sticky"])
def test_a_day_whose_errors_grow_fourfold_from_the_start_on_is_no_finding(keys: int) -> None:
    plan = Plan(default_steps(1_000))
    assert stopped_by_it([simulate(World(keys=keys), plan, seed) for seed in range(5)]) == 0


@pytest.mark.parametrize(
    "outage",
    [Fault(error_ratio=30.0, from_s=1_200.0), Fault(latency_factor=3.0, from_s=1_200.0)],
    ids=["errors", "latency"],
)
def test_what_breaks_both_arms_pauses_within_a_minute(outage: Fault) -> None:
    world = World(drifts=False, outage=outage)
    results = [simulate(world, HOURS, seed) for seed in range(5)]
    assert {(result.phase, result.reason) for result in results} == {(Phase.PAUSED, "guardrail")}
    assert max(result.at_s for result in results) - 1_200.0 <= 60.0


def test_a_plan_without_it_goes_on() -> None:
    world = World(drifts=False, outage=Fault(error_ratio=30.0, from_s=600.0))
    plan = replace(HOURS, guardrail=None)
    assert simulate(world, plan, 1, most_s=1_800.0).phase is Phase.STEP
