"""The shadow stage of a rollout: copies before any traffic, judged like everything else."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest

from serving.errors import Unavailable
from serving.rollouts.look import replayed
from serving.rollouts.transition import Order
from tests.unit.rollouts.controlled_world import World, ticking

STEPS = [{"weight": 50, "duration": "1m", "max_duration": "30m"}]
SHADOW: dict[str, Any] = {
    "percent": 50,
    "duration": "1m",
    "max_duration": "5m",
    "gates": {"flips": {"largest": 0.01}, "deltas": {"largest": 0.02, "margin": 0.1}},
}
PLAN: dict[str, Any] = {"steps": STEPS, "shadow": SHADOW}


def world_of(**facts: Any) -> World:
    world = World(**facts)
    world.session.score = "y"
    return world


async def test_a_shadow_like_the_stable_version_gets_its_first_share_after_its_time() -> None:
    world = world_of()
    rollout_id = await world.begin(PLAN)
    await world.until("shadow", rollout_id)
    trial = world.session.splits[-1]["trial"]
    assert (trial["rollout"], trial["shadow"]["version"], trial["shadow"]["share_bp"]) == (
        f"{rollout_id}-shadow",
        2,
        5_000,
    )
    assert (trial["shadow"]["threshold"], trial["score_output"], trial["shadow"]["show_inputs"]) == (0.5, "y", False)
    assert 0.1 in trial["shadow"]["delta_edges"]
    begun = world.held(rollout_id).standing
    held = await world.until("step", rollout_id)
    assert held.standing is not None
    assert begun is not None
    assert 60 <= held.standing.since_s - begun.since_s <= 62
    assert "all limits were kept: errors, flips, deltas" in held.standing.reason
    # The first answers of the step fill caches, however long copies ran before.
    assert held.count_from_s == held.standing.since_s + 5
    held = await world.until("promoted", rollout_id)
    assert [weight for weight, _ in groupby(world.weights)] == [0, 5_000, 10_000]
    assert [entry["to"] for entry in world.store.entries] == ["measuring", "shadow", "step", "promoted"]


@pytest.mark.parametrize(
    ("facts", "reason", "words"),
    [
        ({"flips": 30}, "shadow_flips", "pairs decide otherwise (3 %), where 1 % may; evidence"),
        ({"failing": 40}, "shadow_errors", "copies failed (4 %), where 1 % may; evidence"),
    ],
)
async def test_one_beyond_a_limit_is_rolled_back_before_any_traffic(
    facts: dict[str, int], reason: str, words: str
) -> None:
    world = world_of(requests=1_000, **facts)
    held = await world.until("rolled_back", await world.begin(PLAN))
    assert held.said.reason == reason
    assert words in held.said.sentence
    assert set(world.weights) == {0}
    assert world.session.splits[-1]["trial"] is None


async def test_what_hurts_the_whole_model_pauses_the_stage_and_its_copies_until_a_person_goes_on() -> None:
    world = world_of()
    rollout_id = await world.begin(PLAN)
    await world.until("shadow", rollout_id)
    world.stable_errors = 0.5
    held = await world.until("paused", rollout_id, 30)
    assert held.said.reason == "guardrail"
    assert held.said.sentence.startswith("errors of the whole model ")
    assert replayed(world.store.entries[-1], held).sentence == held.said.sentence
    assert world.session.splits[-1]["trial"]["shadow"]["share_bp"] == 0
    await world.controller.order(rollout_id, Order.RESUME, "anna")
    await world.tick()
    assert world.held(rollout_id).phase == "shadow"
    assert world.session.splits[-1]["trial"]["shadow"]["share_bp"] == 5_000
    world.stable_errors = 0.01
    # What was seen of the whole model goes on into the steps.
    held = await world.until("step", rollout_id)
    assert held.guard is not None
    assert held.guard["next_slice"] > 0


async def test_pairs_that_cannot_be_read_pause_the_stage_in_the_end() -> None:
    world = world_of()
    rollout_id = await world.begin(PLAN)
    await world.until("shadow", rollout_id)
    world.store.unreadable = Unavailable("it takes too long")
    await world.tick()
    assert world.held(rollout_id).said.reason == "no_counts"
    held = await world.until("paused", rollout_id, 6 * 60)
    assert (held.said.outcome, held.said.sentence) == ("error", "counts cannot be read: it takes too long")
    assert world.session.canary_bp == 0


async def test_a_pause_of_a_person_leaves_copies_as_they_were() -> None:
    world = world_of()
    rollout_id = await world.begin(PLAN)
    await world.until("shadow", rollout_id)
    await world.controller.order(rollout_id, Order.PAUSE, "anna")
    assert world.session.splits[-1]["trial"]["shadow"]["share_bp"] == 5_000


async def test_close_to_its_limit_it_is_inconclusive_and_a_person_lets_it_go_on() -> None:
    world = world_of(requests=200, flips=10)
    rollout_id = await world.begin(PLAN)
    held = await world.until("paused", rollout_id)
    assert (held.said.outcome, held.said.reason) == ("inconclusive", "shadow_unproven")
    assert world.session.canary_bp == 0
    assert world.session.splits[-1]["trial"]["shadow"] is not None
    await world.controller.order(rollout_id, Order.RESUME, "anna")
    assert world.held(rollout_id).phase == "shadow"
    await world.controller.order(rollout_id, Order.PAUSE, "anna")
    await world.tick()
    assert world.session.canary_bp == 0
    await world.controller.order(rollout_id, Order.PROMOTE, "anna")
    held = world.held(rollout_id)
    assert (held.phase, held.standing and held.standing.step) == ("step", 0)
    assert held.count_from_s == world.now_s + 5
    assert world.session.canary_bp == 5_000


async def test_paused_it_is_still_rolled_back_for_harm() -> None:
    world = world_of()
    rollout_id = await world.begin(PLAN)
    await world.until("shadow", rollout_id)
    await world.controller.order(rollout_id, Order.PAUSE, "anna")
    world.flips = 100
    held = await world.until("rolled_back", rollout_id, 60)
    assert held.said.reason == "shadow_flips"


@pytest.mark.parametrize(("on_no_data", "ends"), [("pause", "paused"), ("abort", "rolled_back"), ("advance", "step")])
async def test_without_copies_it_is_as_the_plan_says(on_no_data: str, ends: str) -> None:
    world = world_of(requests=0)
    held = await world.until(ends, await world.begin({**PLAN, "on_no_data": on_no_data}))
    assert held.said.reason == "no_pairs"


async def test_a_shadow_that_fells_its_replicas_is_rolled_back_without_statistics() -> None:
    world = world_of()
    rollout_id = await world.begin(PLAN)
    await world.until("shadow", rollout_id)
    world.store.crashed = (3, 0)
    await world.tick()
    held = world.held(rollout_id)
    assert (held.phase, held.said.reason) == ("rolled_back", "hard_stop")


async def test_restarted_between_any_two_looks_it_does_the_same_and_every_verdict_is_replayed() -> None:
    worlds = world_of(requests=100), world_of(requests=100, restarts=True)
    for world in worlds:
        world.flips = 20
        rollout_id = await world.begin(PLAN)
        for _ in range(420):
            await world.tick()
        held = world.held(rollout_id)
        for entry in world.store.entries:
            if "verdict" in entry:
                verdict = replayed(entry, held)
                assert (verdict.reason, verdict.sentence) == (entry["verdict"]["reason"], entry["verdict"]["sentence"])
    one, other = ([{**entry, "who": ""} for entry in world.store.entries] for world in worlds)
    assert one == other
    assert worlds[0].weights == worlds[1].weights


async def test_the_first_share_waits_for_a_webhooks_agreement_as_every_other_does() -> None:
    world = world_of()
    world.receiver.status = 0
    hook = {"url": "http://b.example/x", "confirm": True, "wait": "5m"}
    rollout_id = await world.begin({**PLAN, "webhooks": [hook]})
    await ticking(world, lambda: world.held(rollout_id).said.reason == "unconfirmed")
    assert (world.held(rollout_id).phase, world.session.canary_bp) == ("shadow", 0)
    held = await world.until("paused", rollout_id, 400)
    assert "the agreement did not come in time" in held.said.sentence
    assert world.session.canary_bp == 0
    verdict = replayed(world.store.entries[-1], held)
    assert verdict.sentence == held.said.sentence
