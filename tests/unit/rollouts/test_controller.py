"""The controller with a store in memory and a clock of the test's: what it decides, does, and leaves to be done."""

from __future__ import annotations

from itertools import groupby

import pytest

from serving.errors import BadRequest, InUse, ModelUnservable, NotReady, Unavailable, UnknownModel
from serving.processes.canary_place import Own, Place
from serving.rollouts.look import replayed
from serving.rollouts.transition import Order, Phase
from tests.unit.rollouts.controlled_world import PLAN, World


async def test_a_canary_like_the_stable_version_is_promoted_step_by_step() -> None:
    world = World()
    held = await world.until("promoted", await world.begin())
    assert [weight for weight, _ in groupby(world.weights)] == [0, 1_000, 5_000, 10_000]
    assert held.settled
    assert [entry["what"] for entry in world.store.entries] == ["start", "begun", "step", "promoted"]


async def test_the_stable_version_is_measured_until_there_are_runs_enough_to_put_bounds_by() -> None:
    world = World(rows_a_run=1_000)
    began_s = world.now_s
    await world.until("step", await world.begin())
    # Two runs a second, of which fifty are needed; requests are enough after one.
    assert 25 <= world.now_s - began_s < 40
    assert "default" not in world.store.entries[-1]["why"]


async def test_where_runs_are_too_few_after_a_minute_default_bounds_are_used_and_it_is_said() -> None:
    world = World(rows_a_run=2_001)
    began_s = world.now_s
    await world.until("step", await world.begin())
    assert 60 <= world.now_s - began_s < 70
    assert "0 runs were measured, of 50 needed: latency is judged by default bounds" in world.store.entries[-1]["why"]


async def test_more_errors_roll_it_back_at_the_first_step_and_say_so() -> None:
    world = World(canary_errors=0.05)
    held = await world.until("rolled_back", await world.begin())
    assert held.said.reason == "errors"
    assert "times as many; evidence" in held.said.sentence
    assert [weight for weight, _ in groupby(world.weights)] == [0, 1_000, 0]
    assert world.session.splits[-1]["trial"] is None


async def test_restarted_between_any_two_looks_it_does_the_same() -> None:
    worlds = World(), World(restarts=True)
    for world in worlds:
        world.canary_errors = 0.013
        await world.begin()
        for _ in range(400):
            await world.tick()
    one, other = ([{**entry, "who": ""} for entry in world.store.entries] for world in worlds)
    assert one == other
    assert worlds[0].weights == worlds[1].weights


async def test_every_verdict_is_replayed_to_the_last_bit() -> None:
    world = World(canary_errors=0.03)
    held = await world.until("rolled_back", await world.begin())
    entry = world.store.entries[-1]
    verdict = replayed(entry, held)
    assert (verdict.reason, verdict.sentence) == (entry["verdict"]["reason"], entry["verdict"]["sentence"])


async def test_a_controller_that_was_replaced_changes_nothing() -> None:
    world = World(canary_errors=0.05)
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    stale, number = world.controller, world.store.number
    world.take_over()
    await world.controller.look()
    before = dict(world.store.documents)
    # It holds itself for the one that judges: what it stores is refused all the same.
    world.store.claims = number
    world.now_s += 30
    await stale.look()
    assert world.store.documents == before
    with pytest.raises(InUse):
        await stale.order(rollout_id, Order.PROMOTE_FULL, "old")
    assert world.session.canary_bp == 1_000


async def test_of_two_controllers_one_acts() -> None:
    world = World()
    rollout_id = await world.begin()
    other = world.another()
    await other.look()
    with pytest.raises(NotReady, match="another control app"):
        await other.order(rollout_id, Order.ABORT, "bert")
    assert world.held(rollout_id).phase == "measuring"


async def test_what_could_not_be_ordered_is_ordered_with_the_next_look() -> None:
    world = World()
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    world.session.away = Unavailable("no table")
    with pytest.raises(Unavailable):
        await world.controller.order(rollout_id, Order.ABORT, "anna")
    await world.tick()
    assert world.session.canary_bp == 1_000
    world.session.away = None
    await world.tick()
    assert world.session.canary_bp == 0
    assert world.held(rollout_id).settled


async def test_a_version_that_is_refused_is_rolled_back_without_statistics() -> None:
    world = World()
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    world.session.state, world.session.why = "refused", "its file is gone"
    await world.tick()
    held = world.held(rollout_id)
    assert (held.phase, held.said.reason) == ("rolled_back", "hard_stop")
    assert "its file is gone" in held.said.sentence


async def test_crashes_of_the_canary_alone_roll_it_back() -> None:
    world = World()
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    world.store.crashed = (3, 3)
    await world.tick()
    assert world.held(rollout_id).phase == "step"
    world.store.crashed = (4, 3)
    await world.tick()
    assert world.held(rollout_id).phase == "rolled_back"


async def test_frozen_nothing_changes_and_then_it_goes_on() -> None:
    world = World(canary_errors=0.2)
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    await world.controller.freeze("anna", frozen=True)
    for _ in range(60):
        await world.tick()
    assert world.session.canary_bp == 1_000
    with pytest.raises(InUse, match="frozen"):
        await world.begin()
    await world.controller.freeze("anna", frozen=False)
    held = await world.until("rolled_back", rollout_id, 60)
    assert held.said.reason == "errors"


async def test_a_pin_gives_all_to_one_version_and_ends_the_rollout() -> None:
    world = World()
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    await world.controller.pin("m", 2, "anna")
    await world.tick()
    held = world.held(rollout_id)
    assert (held.phase, held.settled, world.session.canary_bp) == ("aborted", True, 10_000)


async def test_a_version_that_could_answer_nobody_is_not_pinned_and_the_rollout_goes_on() -> None:
    world = World()
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    splits = len(world.session.splits)
    world.session.state, world.session.why = "refused", "its file is gone"
    with pytest.raises(NotReady, match="version 2 of 'm' cannot answer, so that nothing was changed: its file is gone"):
        await world.controller.pin("m", 2, "anna")
    assert (world.held(rollout_id).phase, len(world.session.splits)) == ("step", splits)
    await world.controller.pin("m", 1, "anna")
    assert (world.held(rollout_id).phase, world.session.canary_bp) == ("aborted", 0)


async def test_what_makes_requests_of_both_arms_late_pauses_it_where_the_model_has_a_goal() -> None:
    worlds = World(), World()
    worlds[0].session.goal_us = 20_000
    for world in worlds:
        await world.until("step", await world.begin())
        assert world.session.splits[-1]["trial"]["goal_us"] == world.session.goal_us
        world.late = 300
        for _ in range(20):
            await world.tick()
    with_goal, without = (world.held(next(iter(world.store.documents))) for world in worlds)
    assert (with_goal.phase, with_goal.said.reason, without.phase) == ("paused", "guardrail", "step")
    assert with_goal.said.sentence.startswith("runs with answers over the latency goal of the whole model ")


async def test_what_breaks_both_arms_pauses_it_and_a_person_may_go_on() -> None:
    world = World()
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    world.canary_errors = world.stable_errors = 0.5
    held = await world.until("paused", rollout_id, 30)
    assert held.said.reason == "guardrail"
    assert held.said.sentence.startswith("errors of the whole model ")
    assert world.session.canary_bp == 1_000
    assert replayed(world.store.entries[-1], held).sentence == held.said.sentence
    await world.controller.order(rollout_id, Order.RESUME, "anna")
    await world.tick()
    assert world.held(rollout_id).phase == "step"
    world.canary_errors = 1.0
    assert (await world.until("rolled_back", rollout_id, 60)).said.reason == "errors"


async def test_without_requests_it_pauses_at_the_end_of_the_step() -> None:
    world = World(requests=0)
    held = await world.until("paused", await world.begin(), 2_000)
    assert held.said.reason in ("no_traffic", "few_requests")
    assert held.standing is not None
    assert "of at least 50 requests" in held.standing.reason


async def test_people_pause_resume_and_promote_and_the_audit_says_who() -> None:
    world = World()
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    await world.controller.order(rollout_id, Order.PAUSE, "bert")
    await world.tick()
    assert world.held(rollout_id).phase == "paused"
    assert world.session.canary_bp == 1_000
    await world.controller.order(rollout_id, Order.RESUME, "bert")
    await world.controller.order(rollout_id, Order.PROMOTE, "carl")
    assert world.session.canary_bp == 5_000
    assert [(entry["who"], entry["what"]) for entry in world.store.entries][-3:] == [
        ("bert", "pause"),
        ("bert", "resume"),
        ("carl", "promote"),
    ]


async def test_what_cannot_begin_is_refused_with_a_sentence() -> None:
    world = World()
    with pytest.raises(BadRequest, match="weights must grow"):
        await world.begin({"steps": [{"weight": 10}, {"weight": 5}]})
    with pytest.raises(BadRequest, match="nothing says what the score of"):
        await world.begin({"shadow": {"percent": 10, "gates": {"flips": {"largest": 0.01}}}})
    with pytest.raises(UnknownModel, match="is not served"):
        await world.controller.start("m", 3, {}, by="", sticky=None)
    with pytest.raises(BadRequest, match="answers all requests already"):
        await world.controller.start("m", 1, {}, by="", sticky=None)
    with pytest.raises(UnknownModel, match="no model"):
        await world.controller.start("n", 2, {}, by="", sticky=None)
    world.session.state = "waiting"
    with pytest.raises(NotReady, match="being loaded"):
        await world.begin()
    world.session.state = "ready"
    world.session.form = {"inputs": [{"name": "row", "datatype": "FP32", "shape": [-1, 4]}]}
    with pytest.raises(BadRequest, match="version 2 has no input 'x', which version 1 has; requests to 'm' fit one"):
        await world.begin()
    world.session.form = {}
    await world.begin()
    with pytest.raises(InUse, match="is not over"):
        await world.begin()
    assert len(world.store.documents) == 1


async def test_a_rollout_that_measures_can_only_be_aborted() -> None:
    world = World()
    rollout_id = await world.begin()
    with pytest.raises(BadRequest, match="being measured"):
        await world.controller.order(rollout_id, Order.PROMOTE, "anna")
    await world.controller.order(rollout_id, Order.ABORT, "anna")
    held = world.held(rollout_id)
    assert held.standing is not None
    assert held.standing.phase is Phase.ABORTED
    assert world.session.canary_bp == 0


APART = Place("m-canary", "in pool m-canary, 1 replica of its own", Own(1, 1, 0.5, 64))


async def test_the_first_step_waits_for_the_canarys_own_replicas() -> None:
    world = World()
    world.session.place = APART
    world.session.may_start.clear()
    rollout_id = await world.begin()
    for _ in range(120):
        await world.tick()
    held = world.held(rollout_id)
    assert (held.phase, held.said.reason, world.session.set_apart) == ("measuring", "starting", 1)
    assert held.runs == "in pool m-canary, 1 replica of its own"
    assert {split["apart"] for split in world.session.splits} == {2}
    world.session.may_start.set()
    await world.until("step", rollout_id, 3)
    ended = await world.until("promoted", rollout_id)
    assert ended.settled
    assert world.session.splits[-1]["apart"] == 0


async def test_where_its_own_replicas_find_no_place_the_rollout_ends_and_says_why() -> None:
    world = World()
    world.session.place = APART
    world.session.starts = ModelUnservable("there is no room")
    held = await world.until("aborted", await world.begin())
    assert held.said.reason == "no_place"
    assert held.standing is not None
    assert held.standing.reason == "there is no room"
    assert world.session.set_apart == 1
    assert set(world.weights) == {0}


async def test_what_keeps_its_own_replicas_away_for_a_while_is_tried_again() -> None:
    world = World()
    world.session.place = APART
    world.session.starts = NotReady("the engine is not ready")
    rollout_id = await world.begin()
    for _ in range(90):
        await world.tick()
    assert world.held(rollout_id).phase == "measuring"
    assert world.session.set_apart > 10
    world.session.starts = None
    await world.until("step", rollout_id, 5)


async def test_what_was_frozen_by_one_that_died_halfway_is_frozen() -> None:
    world = World(canary_errors=0.2)
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    world.store.is_frozen = True
    world.take_over()
    for _ in range(60):
        await world.tick()
    assert (world.held(rollout_id).phase, world.session.canary_bp) == ("step", 1_000)
    await world.controller.freeze("anna", frozen=False)
    await world.until("rolled_back", rollout_id, 60)


async def test_a_defect_of_the_asking_ends_no_look() -> None:
    world = World()
    world.session.place = APART
    world.session.starts = RuntimeError("a defect")
    rollout_id = await world.begin()
    for _ in range(90):
        await world.tick()
    world.session.starts = None
    await world.until("step", rollout_id, 5)


async def test_a_rollout_that_cannot_be_read_holds_up_no_other() -> None:
    world = World()
    rollout_id = await world.begin()
    broken = {"id": "a", "format": 1, "model": "other", "settled": False}
    world.store.save(world.store.number, broken, live=True, entry=None)
    await world.until("step", rollout_id)


async def test_a_session_that_began_anew_gives_the_canary_replicas_of_its_own_again() -> None:
    world = World()
    world.session.place = APART
    rollout_id = await world.begin()
    await world.until("step", rollout_id)
    world.session.pool = "p"
    await world.tick()
    await world.tick()
    assert world.session.pool == "m-canary"
    assert world.session.set_apart == 2


async def test_the_plan_says_how_many_replicas_and_the_largest_weight_counts() -> None:
    world = World()
    await world.begin({**PLAN, "isolation": {"replicas": 2, "cpus": 0.5}})
    assert world.session.wish == {"shared": False, "replicas": 2, "cpus": 0.5, "memory_mb": 0, "most_bp": 5_000}
