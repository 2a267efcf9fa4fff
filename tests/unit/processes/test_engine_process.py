"""An engine that does not answer holds up nobody for long, and nobody twice."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from serving.errors import Unavailable
from serving.processes import engine_process
from serving.processes.child_process import Spawner
from serving.processes.control_channel import ControlChannel, inherited_channel
from serving.processes.engine_process import EngineProcess
from serving.processes.start_message import StartMessage
from tests.unit.processes.children import FakeSpawner


@pytest.mark.usefixtures("channels_closed")
async def test_an_engine_that_does_not_answer_is_told_of_and_still_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "_ANSWERS_WITHIN_S", 0.02)
    spawner = FakeSpawner()
    engine = EngineProcess("engine", cast("Spawner", spawner), StartMessage("s", "ray", "/r", "/r"), lambda event: None)
    await engine.start()
    theirs = await _opened(spawner)
    heard = theirs.messages()
    assert (await anext(heard))["type"] == "start"
    with pytest.raises(Unavailable, match="does not answer"):
        await engine.ask("host", models=[1])
    # From now on nobody waits as long, and all that is asked arrives, in order.
    monkeypatch.setattr(engine_process, "_ANSWERS_WITHIN_S", 1e9)
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable):
            await engine.ask("host", models=[])
        asked = [await anext(heard), await anext(heard)]
        assert [one["models"] for one in asked] == [[1], []]
        # It goes on: what comes late is nobody's, and the next question is waited for again.
        for one in asked:
            theirs.send("answer", id=one["id"], answer={})
        await _until_it_answers(engine, theirs)
    spawner.children[0].end()


async def _opened(spawner: FakeSpawner) -> ControlChannel:
    channel = inherited_channel(spawner.children[0].fds.pop())
    await channel.open()
    return channel


async def _until_it_answers(engine: EngineProcess, theirs: ControlChannel) -> None:
    heard = theirs.messages()
    while True:
        asking = asyncio.create_task(engine.ask("host", models=[2]))
        asked = await anext(heard)
        theirs.send("answer", id=asked["id"], answer={"done": True})
        try:
            assert await asking == {"done": True}
        except Unavailable:
            # The late answers have not been read yet.
            await asyncio.sleep(0.01)
            continue
        return
