"""The controller and webhooks: what they are told, what it waits for, and that none of them holds it up."""

from __future__ import annotations

import asyncio

import pytest

from serving.errors import BadRequest
from serving.rollouts.hook import Hook
from serving.rollouts.hook_message import Message
from serving.rollouts.look import replayed
from serving.rollouts.transition import Order
from serving.rollouts.webhooks import Webhooks
from tests.unit.rollouts.controlled_world import PLAN, Receiver, World, at_once, ticking

HOOKED = {**PLAN, "webhooks": ["http://a/"]}
ASKED = {**PLAN, "webhooks": [{"url": "http://b.example/x", "confirm": True, "wait": "5m"}]}


async def test_webhooks_are_told_of_each_step_each_verdict_and_the_end() -> None:
    world = World()
    rollout_id = await world.begin(HOOKED)
    await world.until("promoted", rollout_id)
    await ticking(world, lambda: not world.held(rollout_id).owed)
    # What is on its way at once may arrive in any order; the ids have the right one.
    world.receiver.got.sort(key=lambda one: one[0])
    assert world.receiver.types() == ["step", "verdict", "step", "verdict", "end"]
    assert [one[0] for one in world.receiver.got] == [f"{rollout_id}.{number}" for number in range(1, 6)]
    assert world.held(rollout_id).owed == ()
    assert world.store.living == set()


async def test_what_a_receiver_refuses_is_in_the_audit_and_changes_nothing_else() -> None:
    world = World(receiver=Receiver(status=404))
    rollout_id = await world.begin(HOOKED)
    await world.until("promoted", rollout_id)
    await ticking(world, lambda: not world.held(rollout_id).owed)
    told = [entry["why"] for entry in world.store.entries if entry["what"] == "webhook"]
    assert told == ["a was not told: it answered 404"] * 5
    assert world.store.living == set()


async def test_what_is_owed_at_the_end_is_sent_by_the_next_controller_with_the_same_id_and_holds_up_nobody() -> None:
    world = World(canary_errors=0.05, receiver=Receiver(status=0))
    rollout_id = await world.begin(HOOKED)
    await world.until("rolled_back", rollout_id)
    await ticking(world, lambda: len(world.receiver.got) == 3)
    first = world.receiver.got.copy()
    assert world.store.living == {rollout_id}
    splits = len(world.session.splits)
    world.canary_errors = 0.01
    other = await world.begin()
    await world.controller.stop()
    world.receiver.status = 200
    world.take_over()
    await world.until("step", other)
    await ticking(world, lambda: not world.held(rollout_id).owed)
    again = world.receiver.got[len(first) :]
    assert sorted(again, key=repr) == sorted(first, key=repr)
    assert world.store.living == {other}
    assert {one["salt"] for one in world.session.splits[splits:]} == {other}


async def test_an_advance_waits_until_a_webhook_agrees() -> None:
    world = World(receiver=Receiver(status=403))
    rollout_id = await world.begin(ASKED)
    await world.until("step", rollout_id)
    await ticking(world, lambda: world.held(rollout_id).said.sentence.endswith("403"))
    held = world.held(rollout_id)
    assert (held.phase, held.said.reason, world.session.canary_bp) == ("step", "unconfirmed", 1_000)
    assert held.said.sentence.endswith("it waits for the agreement of b.example: it answered 403")
    world.receiver.status = 200
    await ticking(world, lambda: world.session.canary_bp == 5_000)
    assert len({one[0] for one in world.receiver.got}) == 1
    assert set(world.receiver.types()) == {"confirm"}


async def test_an_agreement_that_does_not_come_in_time_pauses_and_a_person_may_go_on() -> None:
    world = World(receiver=Receiver(status=0))
    rollout_id = await world.begin(ASKED)
    held = await world.until("paused", rollout_id)
    assert (held.said.reason, held.confirming_s) == ("unconfirmed", 0.0)
    verdict = replayed(world.store.entries[-1], held)
    assert (verdict.reason, verdict.sentence) == ("unconfirmed", held.said.sentence)
    assert world.session.canary_bp == 1_000
    await world.controller.order(rollout_id, Order.PROMOTE, "anna")
    assert world.session.canary_bp == 5_000
    await world.controller.stop()


async def test_harm_needs_no_agreement() -> None:
    world = World(receiver=Receiver(status=403))
    rollout_id = await world.begin(ASKED)
    await world.until("step", rollout_id)
    world.canary_errors = 0.2
    await world.until("rolled_back", rollout_id, 60)


async def test_nobody_is_asked_any_more_once_a_person_ended_the_rollout() -> None:
    world = World(receiver=Receiver(status=403))
    rollout_id = await world.begin(ASKED)
    await world.until("step", rollout_id)
    await ticking(world, lambda: bool(world.receiver.got))
    await world.controller.order(rollout_id, Order.ABORT, "anna")
    asked = len(world.receiver.got)
    for _ in range(20):
        await world.tick()
        await asyncio.sleep(0)
    assert len(world.receiver.got) <= asked + 1
    await world.controller.stop()


async def test_messages_that_are_owed_no_more_leave_room_for_others() -> None:
    receiver = Receiver()
    webhooks = Webhooks(lambda: 0.0, at_once, receiver)
    for number in range(600):
        webhooks.deliver(Hook("http://a/"), Message(f"r.{number}", b"{}"))
        for _ in range(2_000):
            if len(receiver.got) > number:
                break
            await asyncio.sleep(0.0005)
        assert len(receiver.got) == number + 1
    await webhooks.stop()


async def test_a_secret_that_is_not_there_is_told_at_the_start() -> None:
    hook = {"url": "http://a/", "secret": {"env": "NO_SUCH_HOOK_KEY"}}
    with pytest.raises(BadRequest, match="env NO_SUCH_HOOK_KEY, is empty"):
        await World().begin({**PLAN, "webhooks": [hook]})
