"""The control app gives way to its successor, which is told something else; that is no crash."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from serving.processes.child_process import Spawner
from serving.processes.control_channel import ControlChannel, inherited_channel
from serving.processes.control_process import ControlProcess
from serving.processes.events import Event
from tests.unit.processes.children import FakeChild, FakeSpawner


@pytest.mark.usefixtures("channels_closed")
async def test_its_successor_has_the_new_options_at_once_and_nothing_crashed() -> None:
    spawner, events = FakeSpawner(), list[Event]()
    control = ControlProcess(cast("Spawner", spawner), 0, {"views": {}, "token": "t"}, Path("/log"), events.append)
    await control.start(lambda _: pytest.fail("nobody asks"))
    theirs = await opened(spawner, 0)
    heard = theirs.messages()
    assert (await anext(heard))["options"]["views"] == {}
    control.replace(views={"v": 1})
    assert (await anext(heard))["type"] == "stop"
    theirs.close()
    spawner.children[0].end()
    heard = (await opened(spawner, 1)).messages()
    assert (await anext(heard))["options"] == {"views": {"v": 1}, "token": "t"}
    assert control.crashes == 0
    assert "crashed" not in [event.kind for event in events]


@pytest.mark.usefixtures("channels_closed")
async def test_one_that_does_not_give_way_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ended_within(self: FakeChild, patience_s: float) -> bool:
        self.end()
        return False

    monkeypatch.setattr(FakeChild, "ended_within", ended_within)
    spawner = FakeSpawner()
    control = ControlProcess(cast("Spawner", spawner), 0, {"views": {}}, Path("/log"), lambda _: None)
    await control.start(lambda _: pytest.fail("nobody asks"))
    control.replace(views={"v": 1})
    assert (await anext((await opened(spawner, 1)).messages()))["options"] == {"views": {"v": 1}}
    assert control.crashes == 0


async def opened(spawner: FakeSpawner, number: int) -> ControlChannel:
    async with asyncio.timeout(10):
        while len(spawner.children) <= number:  # noqa: ASYNC110 - nobody tells of a fake child
            await asyncio.sleep(0)
    channel = inherited_channel(spawner.children[number].fds.pop())
    await channel.open()
    return channel
