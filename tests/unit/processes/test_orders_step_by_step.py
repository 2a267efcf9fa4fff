"""Each step of an order to load or unload: which comes first, and what is done where one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from serving.config.settings import Settings
from serving.errors import InUse, ModelUnservable, NotReady, ServingError, Unavailable, UnknownModel
from serving.inference import VersionKey
from serving.processes import session_versions
from serving.processes.canary_place import Own
from serving.processes.events import Event
from serving.processes.session_plan import ServedModel, SessionPlan
from serving.processes.session_versions import SessionVersions
from serving.processes.start_message import StartMessage
from serving.processes.table_place import HeldTable
from serving.registry.manifest import Manifest
from serving.registry.repository import RepositoryVersion
from serving.routing.table import RouteTable, Split

FIRST, NEW = VersionKey("m", 1), VersionKey("m", 2)
LOADS = ["engine hosts 1 2", "workers load 2 strictly", "table 1 2", "workers load 2"]
LETS_GO = ["workers unload 2", "engine hosts 1"]
AWAY = Unavailable("away for a moment")


def begins(work: object) -> None:
    raise AssertionError(f"nothing is left to be done: {work}")


class Steps:
    """What was done, in order; `fails` at one of them, `begins` hears of each."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fails: dict[str, ServingError] = {}
        self.takes_s = 0.0
        self.begins: Callable[[str], object] = lambda step: None

    async def take(self, step: str) -> None:
        self.done.append(step)
        self.begins(step)
        # Whoever else could come in between does.
        await asyncio.sleep(self.takes_s)
        if step in self.fails:
            raise self.fails.pop(step)


class Gateways:
    """Workers that obey."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.hosted = {str(FIRST)}
        self.refused: dict[str, str] = {}
        self.served: list[int] = [1]
        self.own: list[int] = []

    async def ask_one(self, what: str) -> dict[str, Any]:
        return {"hosted": {key: {} for key in self.hosted}, "refused": self.refused, "pools": {}}

    async def ask_all(self, what: str, *, strict: bool = False, **facts: Any) -> None:
        version = facts["served"]["version"] if what == "load" else facts["version"]
        await self._steps.take(f"workers {what} {version}" + (" strictly" if strict else ""))
        name = f"m/{version}"
        if what == "leave":
            return
        (self.hosted.add if what == "load" else self.hosted.discard)(name)

    def serve(self, models: tuple[ServedModel, ...], table: str) -> None:
        self.served = [served.version for served in models]
        self.own = [served.version for served in models if served.own_replicas]

    def use_table(self, table: str) -> None:
        """Gateways follow the control Redis or this."""

    def forget_refusal(self, model: str, version: int) -> None:
        self.refused.pop(f"{model}/{version}", None)


class Engine:
    """One that does what it is told, once it is ready."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.ready = asyncio.Event()
        self.ready.set()
        self.served: list[int] = [1]
        self.own: list[int] = []

    async def ask(self, what: str, models: list[dict[str, Any]]) -> None:
        named = (str(model["version"]) + "+" * bool(model["own_replicas"]) for model in models)
        await self._steps.take(f"engine {what}s " + " ".join(named))

    def serve(self, models: tuple[ServedModel, ...], table: str) -> None:
        self.served = [served.version for served in models]
        self.own = [served.version for served in models if served.own_replicas]


class Session:
    """One model in its first version, hosted by an engine."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.gateways = Gateways(self.steps)
        self.engine = Engine(self.steps)
        self.changing = asyncio.Lock()
        self.events: list[Event] = []
        models = (ServedModel(*FIRST, "/m/1/model.onnx"),)
        start = StartMessage("s", "ray", "/r", "/r", models=models)
        parts = cast("Any", SimpleNamespace(start=start, gateways=self.gateways, engine=self.engine))
        self.versions = SessionVersions(SessionPlan(models=models), parts, self.changing, self.events.append, begins)

    async def routed(self) -> list[int]:
        return [served.version for served in (await self.versions.table()).routes["m"].served]

    async def is_as_before(self) -> bool:
        served = (self.gateways.served, self.engine.served, await self.routed())
        return served == ([1], [1], [1]) and not self.changing.locked()


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = Session()
    publish = HeldTable.publish

    async def published(self: HeldTable, table: RouteTable, number: int = 0) -> bool:
        named = (
            str(one.version) + ("" if one.pool == "default" else f"@{one.pool}") for one in table.routes["m"].served
        )
        await session.steps.take("table " + " ".join(named))
        return await publish(self, table)

    def servable(settings: Settings, key: VersionKey) -> RepositoryVersion:
        return RepositoryVersion(key, Path(f"/m/{key.version}/model.onnx"), Manifest())

    monkeypatch.setattr(HeldTable, "publish", published)
    monkeypatch.setattr(session_versions, "servable_version", servable)
    return session


async def test_a_version_is_hosted_by_replicas_and_workers_before_it_is_routed_to(session: Session) -> None:
    assert (await session.versions.load(NEW))["changed"]
    # Workers that were started again meanwhile load it at the end.
    assert session.steps.done == LOADS
    assert (session.gateways.served, session.engine.served, await session.routed()) == ([1, 2], [1, 2], [1, 2])


async def test_a_version_leaves_the_table_before_workers_and_replicas_let_it_go(session: Session) -> None:
    await session.versions.load(NEW)
    session.steps.done.clear()
    await session.versions.unload("m", 2, force=False)
    assert session.steps.done == ["table 1", *LETS_GO]
    assert await session.is_as_before()


@pytest.mark.parametrize("step", LOADS[:3])
async def test_a_load_that_fails_at_any_step_takes_back_what_was_done(session: Session, step: str) -> None:
    session.steps.fails[step] = AWAY
    with pytest.raises(Unavailable):
        await session.versions.load(NEW)
    assert session.steps.done == [*LOADS[: LOADS.index(step) + 1], *LETS_GO]
    assert await session.is_as_before()


async def test_what_fails_once_a_version_is_in_force_is_told_and_it_stays(session: Session) -> None:
    session.steps.fails[LOADS[3]] = AWAY
    assert (await session.versions.load(NEW))["changed"]
    assert [event.kind for event in session.events] == ["trouble", "loaded"]
    assert session.events[0].text == ("a worker that was started again meanwhile cannot serve it: away for a moment")
    assert await session.routed() == [1, 2]


@pytest.mark.parametrize("step", LETS_GO)
async def test_what_cannot_be_let_go_is_told_and_the_rest_is(session: Session, step: str) -> None:
    await session.versions.load(NEW)
    session.steps.done.clear()
    session.events.clear()
    session.steps.fails[step] = AWAY
    assert (await session.versions.unload("m", 2, force=False))["versions"] == [2]
    assert session.steps.done == ["table 1", *LETS_GO]
    assert [(event.kind, event.part) for event in session.events] == [("trouble", "m/2"), ("unloaded", "m/2")]


async def test_nothing_is_done_while_the_engine_is_not_ready(session: Session) -> None:
    await session.versions.load(NEW)
    session.steps.done.clear()
    session.engine.ready.clear()
    with pytest.raises(NotReady, match="engine is not ready"):
        await session.versions.unload("m", 2, force=False)
    with pytest.raises(NotReady, match="engine is not ready"):
        await session.versions.load(VersionKey("m", 3))
    assert [step for step in session.steps.done if not step.startswith("workers unload")] == []
    assert await session.routed() == [1, 2]


async def test_a_version_that_was_refused_is_new_to_the_engine_when_it_is_tried_again(session: Session) -> None:
    session.gateways.hosted.clear()
    session.gateways.refused[str(FIRST)] = "cut off"
    await session.versions.load(FIRST)
    assert session.steps.done[:2] == ["engine hosts ", "engine hosts 1"]
    assert session.gateways.refused == {}


async def test_workers_may_be_rolled_while_the_engine_is_waited_for_and_not_while_they_change(session: Session) -> None:
    held: dict[str, bool] = {}
    session.steps.begins = lambda step: held.setdefault(step, session.changing.locked())
    await session.versions.load(NEW)
    await session.versions.unload("m", 2, force=False)
    assert held == {**dict.fromkeys(LOADS, True), LOADS[0]: False, "table 1": True, **dict.fromkeys(LETS_GO, False)}


async def test_shares_do_not_wait_for_workers_that_are_replaced(session: Session) -> None:
    await session.versions.load(NEW)
    async with session.changing, asyncio.timeout(5):
        await session.versions.split("m", WHOLE, None, salt="r", fence=1)
        await session.versions.limit("m", {"max_rows": 7})
    route = (await session.versions.table()).routes["m"]
    assert (route.splits, {one.max_rows for one in route.served}) == (WHOLE, {7})


async def test_orders_are_carried_out_one_after_the_other(session: Session) -> None:
    session.steps.takes_s = 0.02
    await asyncio.gather(session.versions.load(NEW), session.versions.load(VersionKey("m", 3)))
    assert session.steps.done == [
        *LOADS,
        "engine hosts 1 2 3",
        "workers load 3 strictly",
        "table 1 2 3",
        "workers load 3",
    ]


OWN = Own(1, 1, 0.5, 64)
SHARES = (Split("stable", 1, 9_000), Split("canary", 2, 1_000))
WHOLE = (Split("stable", 2, 10_000),)
SETS_APART = ["engine hosts 1 2+", "workers load 2 strictly", "table 1 2@m-canary", "workers load 2"]


async def with_a_rollout(session: Session) -> None:
    await session.versions.load(NEW)
    await session.versions.split("m", SHARES, None, salt="r", fence=1, apart=2)
    session.steps.done.clear()


async def test_a_canary_is_warm_in_replicas_of_its_own_before_it_is_asked_for_there(session: Session) -> None:
    await with_a_rollout(session)
    await session.versions.set_apart(NEW, OWN, 1)
    assert session.steps.done == SETS_APART
    assert not session.versions.apart("m")
    assert (session.gateways.own, session.engine.own) == ([2], [2])


async def test_it_comes_home_with_the_table_that_ends_its_rollout_and_its_replicas_go_once_they_are_idle(
    session: Session,
) -> None:
    await with_a_rollout(session)
    await session.versions.set_apart(NEW, OWN, 1)
    session.steps.done.clear()
    await session.versions.split("m", WHOLE, None, salt="r", fence=1)
    assert session.steps.done == ["table 1 2"]
    assert session.versions.apart("m")
    await session.versions.bring_home("m")
    assert session.steps.done == ["table 1 2", "workers leave 2", "engine hosts 1 2"]
    assert (session.gateways.own, session.engine.own) == ([], [])
    assert not session.versions.apart("m")
    await session.versions.bring_home("m")
    assert len(session.steps.done) == 3


@pytest.mark.parametrize("step", SETS_APART[:3])
async def test_what_fails_on_its_way_leaves_the_canary_where_it_was(session: Session, step: str) -> None:
    await with_a_rollout(session)
    session.steps.fails[step] = AWAY
    with pytest.raises(Unavailable):
        await session.versions.set_apart(NEW, OWN, 1)
    assert session.steps.done == [*SETS_APART[: SETS_APART.index(step) + 1], "engine hosts 1 2"]
    assert (session.gateways.own, session.engine.own) == ([], [])
    assert {one.pool for one in (await session.versions.table()).routes["m"].served} == {"default"}
    await session.versions.split("m", WHOLE, None, salt="r", fence=1)
    assert not session.versions.apart("m")


async def test_replicas_that_are_ready_once_the_rollout_is_over_are_let_go(session: Session) -> None:
    await with_a_rollout(session)
    ends = asyncio.Event()
    session.steps.begins = lambda step: ends.set()
    starting = asyncio.create_task(session.versions.set_apart(NEW, OWN, 1))
    await ends.wait()
    await session.versions.split("m", WHOLE, None, salt="r", fence=1)
    with pytest.raises(InUse, match="the rollout of m/2 is over"):
        await starting
    assert session.steps.done == ["engine hosts 1 2+", "table 1 2", "engine hosts 1 2"]


async def test_a_controller_that_was_replaced_sets_nothing_apart(session: Session) -> None:
    await with_a_rollout(session)
    await session.versions.split("m", SHARES, None, salt="r", fence=3, apart=2)
    with pytest.raises(InUse, match="controller 2 of rollouts was replaced by 3"):
        await session.versions.set_apart(NEW, OWN, 2)
    assert session.steps.done == []


async def test_room_is_asked_for_and_nothing_is_changed(session: Session) -> None:
    await with_a_rollout(session)
    session.steps.fails["engine rooms 1 2+"] = ModelUnservable("no room")
    with pytest.raises(ModelUnservable, match="no room"):
        await session.versions.room(NEW, OWN)
    with pytest.raises(UnknownModel):
        await session.versions.room(VersionKey("m", 9), OWN)
    assert session.steps.done == ["engine rooms 1 2+"]
    assert session.engine.own == []
