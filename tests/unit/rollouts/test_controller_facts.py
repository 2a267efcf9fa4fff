"""What a controller learns besides counts: too many keys, workers that died, and that there is nothing to read."""

from __future__ import annotations

import pytest

from serving.errors import Unavailable
from serving.rollouts.look import replayed
from serving.rollouts.transition import Order
from serving.routing.table import ALL_KEYS
from serving.state.rollout_counts import MOST_KEYS
from tests.unit.rollouts.controlled_world import World


async def test_before_there_are_more_keys_than_can_be_remembered_a_smaller_sample_of_them_is_judged() -> None:
    world = World()
    rollout_id = await world.begin()
    await world.until("step", rollout_id)

    async def sample(known_keys: int) -> int:
        world.store.known_keys[rollout_id] = known_keys
        await world.tick()
        share: int = world.session.splits[-1]["trial"]["key_sample"]
        return share

    assert await sample(MOST_KEYS) == ALL_KEYS
    # Of so many, those of a quarter are at most half of the most.
    assert await sample(2 * MOST_KEYS) == ALL_KEYS // 4
    # Those beyond the sample are still there, and count no more.
    assert await sample(2 * MOST_KEYS + MOST_KEYS // 2) == ALL_KEYS // 4
    assert await sample(2 * MOST_KEYS + MOST_KEYS // 2 + 1) == ALL_KEYS // 8
    assert world.held(rollout_id).phase == "step"


async def test_keys_of_a_step_that_is_over_are_forgotten() -> None:
    world = World()
    await world.until("promoted", await world.begin())
    assert world.store.forgotten == [0]


async def test_one_worker_that_died_in_a_run_of_the_canary_rolls_it_back_unless_the_stable_version_does_the_same() -> (
    None
):
    world = World()
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    world.store.faulted[rollout_id] = (2, 2)
    await world.tick()
    assert world.held(rollout_id).phase == "step"
    world.store.faulted[rollout_id] = (1, 0)
    await world.tick()
    held = world.held(rollout_id)
    assert (held.phase, held.said.reason) == ("rolled_back", "hard_stop")
    assert held.said.sentence == "gateway workers died in runs of the canary's version: 1, of the stable one's 0"


async def test_a_fault_of_the_canary_while_the_stable_version_is_measured_ends_it_before_it_has_any_share() -> None:
    world = World()
    rollout_id = await world.begin()
    await world.tick()
    world.store.faulted[world.session.splits[-1]["trial"]["rollout"]] = (1, 0)
    await world.tick()
    held = world.held(rollout_id)
    assert (held.phase, held.said.reason) == ("rolled_back", "hard_stop")
    assert set(world.weights) == {0}


@pytest.mark.parametrize("why", [Unavailable("it takes too long"), ValueError("no number: 'x'")])
async def test_counts_that_cannot_be_read_are_said_to_be_so_and_pause_it_in_the_end_and_none_is_lost(
    why: Exception,
) -> None:
    world = World()
    rollout_id = await world.begin({"steps": [{"weight": 10, "duration": "1m", "max_duration": "2m"}]})
    await world.until("step", rollout_id)
    for _ in range(20):
        await world.tick()
    folded = world.held(rollout_id).folded
    world.store.unreadable = why
    await world.tick()
    held = world.held(rollout_id)
    assert (held.phase, held.said.outcome, held.said.reason) == ("step", "error", "no_counts")
    assert held.said.sentence == f"counts cannot be read: {why}"
    held = await world.until("paused", rollout_id, 120)
    assert (held.folded, world.session.canary_bp) == (folded, 1_000)
    assert replayed(world.store.entries[-1], held).sentence == held.said.sentence
    world.store.unreadable = None
    await world.controller.order(rollout_id, Order.RESUME, "anna")
    await world.tick()
    held = world.held(rollout_id)
    assert held.folded > folded
    assert held.evidence is not None
    # All that was counted meanwhile, but for the slices that are not over.
    assert sum(held.evidence["requests"]) > 2_000 * 100


async def test_a_canary_that_crashes_is_rolled_back_also_while_counts_cannot_be_read() -> None:
    world = World()
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    world.store.unreadable, world.store.faulted[rollout_id] = Unavailable("it takes too long"), (1, 0)
    await world.tick()
    assert (world.held(rollout_id).phase, world.session.canary_bp) == ("rolled_back", 0)
