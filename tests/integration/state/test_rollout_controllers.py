"""Controllers on a real Valkey, with counts as workers bring them: one acts, and an outage changes nothing."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import pytest

from serving.control.rollout_figures import RolloutFigures
from serving.errors import NotReady, Unavailable
from serving.rollouts import rollout
from serving.rollouts.controller import Controller
from serving.rollouts.transition import Order
from serving.state import keys
from serving.state.rollout_counts import CANARY, STABLE, ArmCounts, CountsWriter, StratumName
from serving.state.rollout_store import RolloutStore
from serving.telemetry.catalogue import CATALOGUE
from tests.integration.valkey_server import Server
from tests.unit.rollouts.fake_store import FakeSession

PLAN = {"steps": [{"weight": 50, "duration": "1m", "max_duration": "10m"}]}


class World:
    """A session whose stable version never fails and whose canary fails one request in ten; a second is a `tick`."""

    def __init__(self, server: Server) -> None:
        self.store = RolloutStore(server.url)
        self.writer = CountsWriter(server.url, "worker")
        self.session = FakeSession()
        self.now_s = 1_000.0
        self._flush = 0

    def controller(self) -> Controller:
        return Controller(self.store, self.session, lambda: self.now_s)

    async def tick(self) -> None:
        """A worker counts 200 requests a second on each arm."""
        self.now_s += 1
        trial = self.session.splits[-1]["trial"]
        if trial is None or self.now_s <= trial["count_from_s"]:
            return
        stratum = StratumName(int((self.now_s - 1 - trial["began_s"]) // 5), 1, trial["step"], trial["weight_bp"])
        arms = ((CANARY, 20), (STABLE, 0)) if trial["weight_bp"] else ((STABLE, 0),)
        parts = [
            ArmCounts(
                stratum, arm, sticky=False, requests=200, events={"split": 200, "errors": errors, "latency.0": 200}
            )
            for arm, errors in arms
        ]
        self._flush += 1
        await self.writer.add(trial["rollout"], self._flush, parts)


@pytest.fixture
async def world(server: Server) -> AsyncIterator[World]:
    world = World(server)
    yield world
    await world.writer.stop()
    world.store.stop()


async def begun(world: World, controller: Controller) -> str:
    held = await controller.start("m", 2, PLAN, by="anna", sticky=False)
    while rollout.load(world.store.live()[0]).phase == "measuring":
        await world.tick()
        await controller.look()
    return held.id


@pytest.mark.usefixtures("patient")
async def test_of_two_one_acts_and_when_it_is_gone_the_other_goes_on_to_the_end(world: World, server: Server) -> None:
    one, other = world.controller(), world.controller()
    rollout_id = await begun(world, one)
    # It is held however long this takes.
    server.client().pexpire(keys.CONTROLLER, 60_000)
    for _ in range(6):
        await world.tick()
        await other.look()
    with pytest.raises(NotReady):
        await other.order(rollout_id, Order.PROMOTE_FULL, "bert")
    assert world.session.canary_bp == 5_000
    server.client().delete(keys.CONTROLLER)  # its lease has run out
    for _ in range(20):
        await world.tick()
        await other.look()
    held = rollout.load(world.store.all()[0])
    assert (held.phase, held.said.reason, held.settled) == ("rolled_back", "errors", True)
    assert "on the canary against 0/" in held.said.sentence
    assert world.session.canary_bp == 0
    assert world.store.live() == []


async def test_while_the_redis_stands_still_nothing_changes_and_then_it_goes_on(world: World, server: Server) -> None:
    controller = world.controller()
    await begun(world, controller)
    server.stop()
    with pytest.raises(Unavailable):
        await controller.look()
    assert world.session.canary_bp == 5_000
    server.signal(signal.SIGCONT)
    for _ in range(20):
        await world.tick()
        await controller.look()
    assert rollout.load(world.store.all()[0]).phase == "rolled_back"


async def test_prometheus_sees_a_rollout_and_ten_minutes_of_its_end(world: World) -> None:
    figures = RolloutFigures(world.store, world.session, lambda: world.now_s)
    controller = world.controller()
    rollout_id = await begun(world, controller)
    of = ("m", rollout_id)
    await figures.tell()
    assert world.session.gauges["sluice_rollout_phase", *of, "step"] == 1
    assert world.session.gauges["sluice_rollout_weight", *of] == 0.5
    for _ in range(20):
        await world.tick()
        await controller.look()
    await figures.tell()
    gauges = world.session.gauges
    assert gauges["sluice_rollout_verdict", *of, "fail", "errors"] == 1
    assert gauges["sluice_rollout_phase", *of, "rolled_back"] == 1
    assert ("sluice_rollout_phase", *of, "step") not in gauges
    evidence, needed = (gauges[f"sluice_rollout_evidence{what}", *of, "errors"] for what in ("", "_needed"))
    assert evidence is not None
    assert needed is not None
    assert evidence >= needed
    assert gauges["sluice_rollout_ratio_bound", *of, "errors", "upper"] is None  # the stable version had none
    rates = [gauges["sluice_rollout_rate_bound", *of, "errors", arm, "lower"] for arm in ("canary", "stable")]
    assert rates[0] is not None
    assert 0.02 < rates[0] < 0.1
    assert rates[1] == 0.0
    assert {gauge[0] for gauge in gauges} <= set(CATALOGUE)
    world.now_s += 601
    await figures.tell()
    assert world.session.gauges == {("sluice_rollouts_frozen",): 0}


async def test_what_comes_for_a_closed_slice_is_told_as_late_and_judged_by_nobody(world: World) -> None:
    controller = world.controller()
    rollout_id = await begun(world, controller)
    for _ in range(15):
        world.now_s += 1
        await controller.look()
    late = ArmCounts(StratumName(0, 1, 0, 5_000), CANARY, sticky=False, requests=60, events={"errors": 60})
    await world.writer.add(rollout_id, 10_000, [late])
    await controller.look()
    assert world.store.late(rollout_id) == 60
    assert rollout.load(world.store.live()[0]).phase == "step"
