"""A session follows another configuration whole, in an order that nobody notices, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from serving.errors import InUse, ServingError, Unavailable
from serving.inference import VersionKey
from serving.processes import in_force
from serving.processes.events import Event
from serving.processes.session_plan import ServedModel, SessionPlan
from serving.processes.session_reload import following, judge
from serving.processes.session_versions import SessionVersions
from serving.processes.start_message import StartMessage
from serving.processes.table_place import HeldTable
from serving.routing.table import RouteTable, Split, Trial, load

A, B, C = (ServedModel(name, 1, f"/{name}/1/model.onnx") for name in "abc")
TRIAL = Trial("r1", 0, 1, 0, sticky=False, began_s=0.0, count_from_s=0.0)
# Pools first and beside what there is, then workers, then the table; what is gone last.
FOLLOWS = ["engine host_beside a1 c1 max_rows=7", "roll max_rows=7 a c", "table 2 a c", "engine host a1 c1 max_rows=7"]


def plan(*models: ServedModel, **section: Any) -> SessionPlan:
    config = {"models": {"a": section}} if section else {}
    return SessionPlan(engine="ray", models=models, config=config)


def rows(config: Any) -> str:
    section = config.get("models", {}).get("a", {})
    return f"max_rows={section.get('batching', {}).get('max_rows')}"


class Parts:
    """Engine and workers of a session, who write down what they are told; a step of `fails` does."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.used: list[RouteTable] = []
        self.handed: list[RouteTable] = []
        self.fails: dict[str, int] = {}
        self.meanwhile: dict[str, Callable[[], Awaitable[None]]] = {}
        self.start = StartMessage("s", "ray", "/r", "/r", models=(A, B))
        self.ready = SimpleNamespace(is_set=lambda: True)

    def step(self, what: str) -> None:
        self.done.append(what)
        if self.fails.get(what, 0):
            self.fails[what] -= 1
            raise Unavailable("away for a moment")

    # As an engine.
    async def ask(self, what: str, models: list[dict[str, Any]], config: Any) -> None:
        named = " ".join(f"{one['model']}{one['version']}" for one in models)
        step = f"engine {what} {named} {rows(config)}"
        self.step(step)
        if step in self.meanwhile:
            await self.meanwhile[step]()

    # As workers, and as an engine that would be started again.
    def follow(self, told: Any) -> StartMessage:
        before = self.start
        if isinstance(told, StartMessage):
            self.start = replace(self.start, config=told.config)
        return before

    def serve(self, models: tuple[ServedModel, ...], table: str) -> None:
        self.start = replace(self.start, models=models, table=table)

    def hand_on(self, models: tuple[ServedModel, ...], table: str) -> None:
        self.serve(models, table)
        self.handed.append(load(table))

    def use_table(self, table: str) -> None:
        self.used.append(load(table))
        self.done.append(f"use {self.used[-1].epoch}")

    async def roll(self) -> bool:
        step = f"roll {rows(self.start.config)} {' '.join(one.model for one in self.start.models)}"
        try:
            self.step(step)
        except ServingError:
            return False
        if step in self.meanwhile:
            await self.meanwhile.pop(step)()
        return True


class Session:
    def __init__(self) -> None:
        self.parts = Parts()
        self.events: list[Event] = []
        parts = cast("Any", SimpleNamespace(start=self.parts.start, gateways=self.parts, engine=self.parts))
        self.begun: list[Coroutine[Any, Any, None]] = []
        # How often the control Redis takes no table, or takes it and does not say so.
        self.away = self.mute = 0
        self.versions = SessionVersions(plan(A, B), parts, asyncio.Lock(), self.events.append, self.begun.append)

    async def reload(self, new: SessionPlan) -> None:
        await self.versions.reload(following(new, replace(self.parts.start, config=new.config)))

    async def settles(self) -> None:
        for work in self.begun:
            await work
        self.begun.clear()

    @property
    def steps(self) -> list[str]:
        return [one for one in self.parts.done if not one.startswith("use")]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = Session()
    publish = HeldTable.publish

    async def published(self: HeldTable, table: RouteTable, number: int = 0) -> bool:
        session.parts.step(f"table {table.epoch} {' '.join(table.routes)}")
        if session.away:
            session.away -= 1
            raise Unavailable("away for longer")
        done = await publish(self, table, number)
        if session.mute:
            session.mute -= 1
            raise Unavailable("nobody heard the answer")
        return done

    monkeypatch.setattr(HeldTable, "publish", published)
    monkeypatch.setattr(in_force, "_AGAIN_AFTER_S", 0.0)
    return session


async def test_pools_and_workers_are_there_before_they_are_routed_to_and_what_is_gone_leaves_last(
    session: Session,
) -> None:
    await session.reload(plan(A, C, batching={"max_rows": 7}))
    assert session.steps == FOLLOWS
    (served,) = (await session.versions.table()).routes["a"].served
    assert served.max_rows == 7
    assert session.versions.settings.model("a").batching.max_rows == 7


async def test_the_same_configuration_replaces_the_workers_and_touches_nothing_else(session: Session) -> None:
    await session.reload(plan(A, B))
    assert session.steps == ["roll max_rows=None a b"]


@pytest.mark.parametrize("at", range(3))
async def test_what_fails_on_its_way_is_taken_back_wholly(session: Session, at: int) -> None:
    session.parts.fails[FOLLOWS[at]] = 1
    with pytest.raises(Unavailable):
        await session.reload(plan(A, C, batching={"max_rows": 7}))
    assert session.steps[: at + 1] == FOLLOWS[: at + 1]
    assert session.steps[-1] == "engine host a1 b1 max_rows=None"
    assert list((await session.versions.table()).routes) == ["a", "b"]
    if at:
        # Workers that had begun know the epoch of the table that nobody goes by: the one that holds is above it.
        assert session.parts.done[-3:-1] == ["use 3", "roll max_rows=None a b"]
        await session.settles()
        assert session.steps[-1] == "table 3 a b"
    # As if nothing had been: it is followed the next time.
    await session.reload(plan(A, C, batching={"max_rows": 7}))
    assert list((await session.versions.table()).routes) == ["a", "c"]


async def taken_back(session: Session) -> None:
    with pytest.raises(Unavailable):
        await session.reload(plan(A, C, batching={"max_rows": 7}))
    # Workers go by it before anybody could be told, those that are started again too.
    assert session.parts.done[-3:-1] == ["use 3", "roll max_rows=None a b"]
    assert load(session.parts.start.table) == session.parts.used[-1]
    assert list(session.parts.used[-1].routes) == ["a", "b"]


async def test_where_the_control_redis_stays_away_workers_go_by_the_table_before_and_it_is_told_once_it_is_back(
    session: Session,
) -> None:
    session.away = 4
    await taken_back(session)
    await session.settles()
    assert session.steps[-4:] == ["table 3 a b"] * 4
    assert (await session.versions.table()) == session.parts.used[-1]


@pytest.mark.parametrize("lost", ["away", "mute"])
async def test_an_order_that_comes_before_that_is_above_all_that_workers_know(session: Session, lost: str) -> None:
    setattr(session, lost, 1)
    await taken_back(session)
    await session.versions.split("a", (Split("stable", 1, 10_000),), None, salt="s", fence=1)
    assert session.steps[-1] == "table 4 a b"
    assert (session.parts.used[-1].epoch, session.parts.used[-1].routes["a"].salt) == (4, "s")
    await session.settles()
    assert session.steps[-1] == "table 4 a b"


async def test_a_table_whose_publication_nobody_heard_of_is_taken_back_too(session: Session) -> None:
    session.mute = 1
    await taken_back(session)
    assert list((await session.versions.table()).routes) == ["a", "b"]
    await session.settles()
    assert session.steps[-1] == "table 3 a b"


WHOLE = (Split("stable", 1, 10_000),)


async def test_the_end_of_a_rollout_is_in_force_in_workers_of_both_configurations_while_they_are_replaced(
    session: Session,
) -> None:
    second = ServedModel("a", 2, "/a/2/model.onnx")
    await session.reload(plan(A, second, B))
    trial = (Split("stable", 1, 9_000), Split("canary", 2, 1_000))
    await session.versions.split("a", trial, replace(TRIAL, weight_bp=1_000), salt="r", fence=1)

    async def ends() -> None:
        async with asyncio.timeout(5):
            await session.versions.split("a", WHOLE, None, salt="r", fence=1)
        used, handed = session.parts.used[-1], session.parts.handed[-1]
        assert used.routes["a"].splits == handed.routes["a"].splits == WHOLE
        assert (list(used.routes), list(handed.routes)) == (["a", "b"], ["a", "b", "c"])
        # By the epoch that was published they would not take it: their own table had it already.
        assert session.parts.handed[-2].epoch == used.epoch < handed.epoch
        assert load(session.parts.start.table) == handed

    session.parts.meanwhile["roll max_rows=None a a b c"] = ends
    await session.reload(plan(A, second, B, C))
    assert session.parts.meanwhile == {}
    table = await session.versions.table()
    assert (list(table.routes), table.routes["a"].splits) == (["a", "b", "c"], WHOLE)
    assert table.epoch >= session.parts.handed[-1].epoch


async def test_a_rollout_that_begins_while_workers_are_replaced_keeps_its_models_settings(session: Session) -> None:
    async def begin() -> None:
        await session.versions.split("a", WHOLE, TRIAL, salt="r", fence=1)

    session.parts.meanwhile["roll max_rows=7 a b"] = begin
    with pytest.raises(InUse, match="is under rollout r1"):
        await session.reload(plan(A, B, batching={"max_rows": 7}))
    assert session.steps[-2:] == ["roll max_rows=None a b", "engine host a1 b1 max_rows=None"]
    (served,) = session.parts.used[-1].routes["a"].served
    assert session.parts.used[-1].routes["a"].trial is not None
    assert session.parts.used[-1].epoch > session.parts.handed[-1].epoch
    assert served.max_rows != 7
    await session.settles()


async def test_a_rollout_that_begins_while_pools_are_changed_keeps_its_models_settings(session: Session) -> None:
    async def begin() -> None:
        await session.versions.split("a", (Split("stable", 1, 10_000),), TRIAL, salt="r", fence=1)

    session.parts.meanwhile["engine host_beside a1 b1 max_rows=7"] = begin
    with pytest.raises(InUse, match="is under rollout r1"):
        await session.reload(plan(A, B, batching={"max_rows": 7}))
    assert [one for one in session.steps if one.startswith("roll")] == []
    assert session.steps[-1] == "engine host a1 b1 max_rows=None"


async def test_who_answers_which_share_stays_as_it_was_ordered(session: Session) -> None:
    second = ServedModel("a", 2, "/a/2/model.onnx")
    await session.reload(plan(A, second, B))
    await session.versions.split("a", (Split("stable", 1, 4_000), Split("canary", 2, 6_000)), None, salt="r", fence=1)
    await session.reload(plan(A, second, B, batching={"max_rows": 7}))
    route = (await session.versions.table()).routes["a"]
    assert [one.weight_bp for one in route.splits] == [4_000, 6_000]
    assert [one.max_rows for one in route.served] == [7, 7]


async def test_what_a_running_session_cannot_change_is_named_and_nothing_is_done(session: Session) -> None:
    with pytest.raises(InUse, match=r"^http\.port, state\.dir: a running session cannot change that; stop it"):
        await session.reload(replace(plan(A, B), config={"http": {"port": 1}, "state": {"dir": "/s"}}))
    assert session.steps == []


@pytest.mark.parametrize("name", ["b", "b/1"])
async def test_a_file_that_broke_is_not_one_that_was_taken_away(session: Session, name: str) -> None:
    broken = replace(plan(A), left_out={name: "b/1/model.onnx: cut off", "d/1": "d/1/model.onnx: no ONNX"})
    with pytest.raises(InUse, match=r"^b/1/model.onnx: cut off$"):
        await session.reload(broken)
    assert session.steps == []


def test_a_version_that_an_order_loaded_and_that_answers_keeps_its_file(tmp_path: Path) -> None:
    start = StartMessage("s", "ray", "/r", "/r")
    new, old = following(plan(A), start), following(plan(A), start)
    pinned = replace(new.first.routes["a"], splits=(Split("stable", 2, 10_000),))
    now, file = RouteTable(4, {"a": pinned}), tmp_path / "model.onnx"
    held = {VersionKey("a", 2): ServedModel("a", 2, str(file))}
    with pytest.raises(InUse, match=r"^a/2 answers requests, and its file .*onnx is gone; pin another version first$"):
        judge(new, old.settings, now, old.first, held)
    file.touch()
    judge(new, old.settings, now, old.first, held)


async def test_what_came_broken_is_told_once_and_the_rest_is_followed(session: Session) -> None:
    came = replace(plan(A, B, C), left_out={"d/1": "d/1/model.onnx: no ONNX"})
    for _ in range(2):
        await session.reload(came)
        assert session.events == [Event("refused", "d/1", "d/1/model.onnx: no ONNX")]
    assert list((await session.versions.table()).routes) == ["a", "b", "c"]


@pytest.mark.parametrize("section", [{"batching": {"max_rows": 7}}, {"on_missing": "fail"}])
async def test_a_model_under_a_rollout_is_not_changed(session: Session, section: dict[str, Any]) -> None:
    await session.versions.split("a", (Split("stable", 1, 10_000),), TRIAL, salt="r", fence=1)
    session.parts.done.clear()
    with pytest.raises(InUse, match=r"^model 'a' is under rollout r1; wait for its end, or abort it$"):
        await session.reload(plan(A, B, **section))
    assert session.steps == []
    # Another model's settings, and what is the same for both arms, are no matter of it.
    await session.reload(replace(plan(A, B), config={"http": {"max_rank": 3}}))
    assert session.steps[1] == "roll max_rows=None a b"
