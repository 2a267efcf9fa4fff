"""The workers of a session without any process: what a roll that cannot begin leaves, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from serving.backends.in_flight import InFlight
from serving.inference import VersionKey
from serving.processes.child_process import Spawner
from serving.processes.events import Event
from serving.processes.gateway_process import GatewayProcess
from serving.processes.gateways import Gateways, Reports
from serving.processes.start_message import StartMessage
from tests.unit.processes.children import FakeSpawner


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def happens(what: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if what():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not happen")


@pytest.mark.usefixtures("channels_closed")
@pytest.mark.parametrize(("fault", "accused"), [(True, [VersionKey("m", 2)]), (False, [])])
async def test_who_ran_when_a_worker_died_of_a_fault_is_told_and_nobody_where_others_ended_it(
    tmp_path: Path, *, fault: bool, accused: list[VersionKey]
) -> None:
    spawner, events, told = FakeSpawner(), list[Event](), list[VersionKey]()
    start = StartMessage("s", "in-process", str(tmp_path), str(tmp_path), workers=1)
    reports = Reports(events.append, lambda *_: None, lambda _: None, told.append)
    gateways = Gateways(cast("Spawner", spawner), start, reports)
    await gateways.start()
    worker = InFlight(replace(start, generation=1).in_flight_file)
    worker.places[0] = worker.number_of(VersionKey("m", 2))
    spawner.children[0].fault = fault
    spawner.children[0].end()
    await happens(lambda: len(spawner.children) == 2)
    assert told == accused
    (crashed,) = (event.text for event in events if event.kind == "crashed")
    assert crashed == "gateway worker 0 ended: exit code 1" + (", while it ran m/2" if fault else "")
    assert left_in(tmp_path) == []
    for child in spawner.children[1:]:
        child.end()
    await gateways.stop(0.1)


@pytest.mark.usefixtures("channels_closed")
async def test_a_worker_that_dies_of_a_fault_in_a_roll_is_told_of_too(tmp_path: Path) -> None:
    spawner, told = FakeSpawner(), list[VersionKey]()
    start = StartMessage("s", "in-process", str(tmp_path), str(tmp_path), workers=1)
    reports = Reports(lambda _: None, lambda *_: None, lambda _: None, told.append)
    gateways = Gateways(cast("Spawner", spawner), start, reports)
    await gateways.start()
    rolling = asyncio.create_task(gateways.roll())
    await happens(lambda: len(spawner.children) == 2)
    worker = InFlight(replace(start, generation=2).in_flight_file)
    worker.places[0] = worker.number_of(VersionKey("m", 2))
    spawner.children[1].fault = True
    spawner.children[1].end()
    assert not await rolling
    await happens(lambda: bool(told))
    assert told == [VersionKey("m", 2)]
    spawner.children[0].end()
    await gateways.stop(0.1)


@pytest.mark.usefixtures("channels_closed")
async def test_a_roll_for_which_there_is_no_room_is_told_and_the_old_worker_goes_on() -> None:
    spawner, events = FakeSpawner(), list[Event]()
    start = StartMessage("s", "ray", "/r", "/r", workers=1)
    gateways = Gateways(cast("Spawner", spawner), start, Reports(events.append, lambda *_: None, lambda _: None))
    await gateways.start()
    spawner.full = 1
    assert not await gateways.roll()
    assert [event.kind for event in events] == ["rolling", "roll_failed"]
    assert events[1].text == (
        "the new gateway worker 0 could not be started (Resource temporarily unavailable); the old one goes on"
    )
    # Nothing stays locked or listed: the next roll starts one successor.
    assert len(spawner.children) == 1
    assert spawner.children[0].running
    spawner.children[0].end()


@pytest.mark.usefixtures("channels_closed")
async def test_a_table_of_another_configuration_is_handed_to_workers_that_have_it_and_to_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[int, str]] = []

    def send(self: GatewayProcess, kind: str, **facts: str) -> None:
        if kind == "table":
            told.append((self.name, facts["table"]))

    monkeypatch.setattr(GatewayProcess, "send", send)
    spawner = FakeSpawner()
    start = StartMessage("s", "ray", "/r", "/r", workers=1)
    gateways = Gateways(cast("Spawner", spawner), start, Reports(lambda _: None, lambda *_: None, lambda _: None))
    await gateways.start()
    gateways.follow(replace(start, config={"http": {}}))
    rolling = asyncio.create_task(gateways.roll())
    await happens(lambda: len(spawner.children) == 2)
    gateways.hand_on((), "theirs")
    gateways.use_table("everybody's")
    assert told == [(2, "theirs"), (1, "everybody's"), (2, "everybody's")]
    for child in spawner.children:
        child.end()
    await rolling
