"""An order that fails on its way changes nothing, wherever it fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from serving.errors import InUse, ModelUnservable, NotReady, ServingError, Unavailable, UnknownModel
from serving.inference import VersionKey
from serving.processes.events import Event
from serving.processes.session_plan import ServedModel, SessionPlan
from serving.processes.session_versions import SessionVersions
from serving.processes.start_message import StartMessage
from serving.processes.table_place import HeldTable
from serving.routing.table import RouteTable, Split, Trial, load
from serving.testing.models import doubler, save

NEW = VersionKey("doubler", 2)


class FakeGateways:
    """Hosts what it is told to, and objects where a test wants it to."""

    def __init__(self) -> None:
        self.hosted = {"doubler/1"}
        self.refused: dict[str, str] = {}
        self.objects: ServingError | None = None
        self.served: list[str] = []
        self.tables: list[RouteTable] = []

    async def ask_one(self, what: str) -> dict[str, Any]:
        return {"hosted": {key: {} for key in self.hosted}, "refused": self.refused, "pools": {}}

    async def ask_all(self, what: str, *, strict: bool = False, **facts: Any) -> None:
        if what == "unload":
            self.hosted.discard(f"{facts['model']}/{facts['version']}")
            return
        if self.objects is not None:
            raise self.objects
        self.hosted.add(f"{facts['served']['model']}/{facts['served']['version']}")

    def serve(self, models: tuple[ServedModel, ...], table: str) -> None:
        self.served = [f"{served.model}/{served.version}" for served in models]

    def use_table(self, table: str) -> None:
        self.tables.append(load(table))

    def forget_refusal(self, model: str, version: int) -> None:
        self.refused.pop(f"{model}/{version}", None)


class Session:
    """One model in its first version; `root` holds a second one."""

    def __init__(self, root: Path) -> None:
        self.gateways = FakeGateways()
        self.begun: list[object] = []
        self.events: list[Event] = []
        path = save(root, "doubler", 1, doubler())
        save(root, "doubler", 2, doubler())
        config = {"engine": {"kind": "in-process"}, "repository": {"models_dir": str(root)}}
        models = (ServedModel("doubler", 1, str(path)),)
        start = StartMessage("s", "in-process", "/r", "/r", models=models, config=config)
        parts = cast("Any", SimpleNamespace(start=start, gateways=self.gateways, engine=None))
        self.versions = SessionVersions(
            SessionPlan(models=models, config=config), parts, asyncio.Lock(), self.events.append, self.begun.append
        )

    async def routed(self) -> list[int]:
        return [served.version for served in (await self.versions.table()).routes["doubler"].served]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


async def test_a_loaded_version_is_hosted_then_routed_to_and_known_to_successors(session: Session) -> None:
    assert (await session.versions.load(NEW))["changed"]
    assert session.gateways.hosted == {"doubler/1", "doubler/2"}
    assert session.gateways.served == ["doubler/1", "doubler/2"]
    assert [table.epoch for table in session.gateways.tables] == [2]
    assert session.gateways.tables[0].routes["doubler"].splits[0].version == 1
    assert not (await session.versions.load(NEW))["changed"]
    assert [event.kind for event in session.events] == ["loaded"]


async def test_what_a_worker_objects_is_told_and_nothing_has_changed(session: Session) -> None:
    session.gateways.objects = ModelUnservable("doubler/2/model.onnx: too large; make it smaller")
    with pytest.raises(ModelUnservable, match="too large"):
        await session.versions.load(NEW)
    assert session.gateways.hosted == {"doubler/1"}
    assert session.gateways.tables == []
    assert await session.routed() == [1]


async def test_where_the_table_cannot_be_published_the_version_is_let_go_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: HeldTable, table: RouteTable, number: int = 0) -> bool:
        raise Unavailable("the control Redis did not take the routing table")

    monkeypatch.setattr(HeldTable, "publish", away)
    with pytest.raises(Unavailable):
        await session.versions.load(NEW)
    assert session.gateways.hosted == {"doubler/1"}
    assert session.gateways.tables == []


async def test_somebody_who_published_meanwhile_loses_nothing(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = HeldTable.publish
    others = iter([True])

    async def late(self: HeldTable, table: RouteTable, number: int = 0) -> bool:
        if next(others, False):
            now = await self.current()
            await publish(self, RouteTable(now.epoch + 3, now.routes))
            return False
        return await publish(self, table)

    monkeypatch.setattr(HeldTable, "publish", late)
    await session.versions.load(NEW)
    assert [table.epoch for table in session.gateways.tables] == [5]


async def test_a_version_that_is_let_go_is_hosted_and_routed_no_more(session: Session) -> None:
    await session.versions.load(NEW)
    assert await session.versions.unload("doubler", 2, force=False) == {"model": "doubler", "versions": [2]}
    assert await session.routed() == [1]
    assert session.gateways.hosted == {"doubler/1"}
    assert session.gateways.served == ["doubler/1"]


async def test_what_requests_need_stays(session: Session) -> None:
    with pytest.raises(InUse):
        await session.versions.unload("doubler", None, force=True)
    assert session.gateways.hosted == {"doubler/1"}
    assert session.gateways.tables == []


async def test_a_version_that_is_not_in_the_repository_is_told_with_those_that_are(session: Session) -> None:
    with pytest.raises(UnknownModel, match=r"has no doubler/9; it has doubler/1, doubler/2"):
        await session.versions.load(VersionKey("doubler", 9))


async def test_a_version_that_is_still_being_loaded_is_left_alone(session: Session) -> None:
    session.gateways.hosted.clear()
    with pytest.raises(NotReady, match="being loaded"):
        await session.versions.load(VersionKey("doubler", 1))


async def test_a_version_that_was_refused_at_the_start_can_be_loaded_once_it_is_mended(session: Session) -> None:
    session.gateways.hosted.clear()
    session.gateways.refused["doubler/1"] = "cut off"
    assert (await session.versions.load(VersionKey("doubler", 1)))["changed"]
    assert session.gateways.refused == {}


async def test_while_the_control_redis_is_away_the_last_table_is_shown_and_no_order_is_taken(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    await session.versions.load(NEW)

    async def away(self: HeldTable) -> RouteTable:
        raise Unavailable("the control Redis did not give the routing table")

    monkeypatch.setattr(HeldTable, "current", away)
    assert await session.routed() == [1, 2]
    with pytest.raises(Unavailable):
        await session.versions.unload("doubler", 2, force=False)
    assert session.gateways.hosted == {"doubler/1", "doubler/2"}


STABLE_ONLY = (Split("stable", 1, 10_000),)
TENTH = (Split("stable", 1, 9_000), Split("canary", 2, 1_000))


async def test_a_split_is_in_force_in_every_worker_and_dated_by_its_table(session: Session) -> None:
    await session.versions.load(NEW)
    trial = Trial("r", 0, 1, 1_000, sticky=False, began_s=1.0, count_from_s=2.0)
    told = await session.versions.split("doubler", TENTH, trial, salt="r", fence=1)
    route = session.gateways.tables[-1].routes["doubler"]
    assert (route.splits, route.salt) == (TENTH, "r")
    assert route.trial == replace(trial, generation=told["epoch"])
    again = await session.versions.split("doubler", TENTH, trial, salt="r", fence=1)
    assert (again, len(session.gateways.tables)) == (told, 2)


async def test_a_controller_that_was_replaced_splits_nothing(session: Session) -> None:
    await session.versions.load(NEW)
    await session.versions.split("doubler", TENTH, None, salt="r", fence=2)
    with pytest.raises(InUse, match="controller 1 of rollouts was replaced by 2"):
        await session.versions.split("doubler", STABLE_ONLY, None, salt="s", fence=1)
    assert session.gateways.tables[-1].routes["doubler"].splits == TENTH
