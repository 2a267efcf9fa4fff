"""The workers of a session without any process: what a roll that cannot begin leaves, and what is told of it."""

from __future__ import annotations

from typing import cast

import pytest

from serving.processes.child_process import Spawner
from serving.processes.events import Event
from serving.processes.gateways import Gateways, Reports
from serving.processes.start_message import StartMessage
from tests.unit.processes.children import FakeSpawner


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
