"""A part that cannot be started at the moment is tried again, by whichever keeper watches it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from serving.processes import relaunch
from serving.processes.child_process import Spawner
from serving.processes.control_process import ControlProcess
from serving.processes.embedded_state import EmbeddedValkey, ValkeySpec
from serving.processes.engine_process import EngineProcess
from serving.processes.events import Emit, Event
from serving.processes.gateways import Gateways, Reports
from serving.processes.guardian_process import GuardianProcess
from serving.processes.start_message import StartMessage
from tests.unit.processes.children import NO_ROOM, FakeSpawner


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the waits would have been: nobody waits here."""
    asked: list[float] = []

    def at_once(strikes: int) -> float:
        asked.append(strikes)
        return 0.0

    monkeypatch.setattr(relaunch, "delay_s", at_once)
    return asked


@pytest.fixture
async def nothing_lost(channels_closed: None) -> AsyncIterator[None]:
    """No keeper died with nobody hearing of it, and every descriptor of a failed try was closed."""
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    yield
    gc.collect()
    assert heard == []


async def _nothing(facts: object) -> dict[str, Any]:
    return {}


def _control(spawner: Spawner, emit: Emit) -> Callable[[], Awaitable[None]]:
    process = ControlProcess(spawner, 0, {}, Path("/log"), emit)
    return lambda: process.start(_nothing)


def _engine(spawner: Spawner, emit: Emit) -> Callable[[], Awaitable[None]]:
    return EngineProcess("engine", spawner, StartMessage("s", "ray", "/r", "/r"), emit).start


def _valkey(spawner: Spawner, emit: Emit) -> Callable[[], Awaitable[None]]:
    # A socket whose server never answers is told of after 10 s, and its end at once.
    return EmbeddedValkey(Path("/server"), ValkeySpec("features", Path("/s"), Path("/d"), ()), spawner, emit).start


def _gateways(spawner: Spawner, emit: Emit) -> Callable[[], Awaitable[None]]:
    start = StartMessage("s", "ray", "/r", "/r", workers=1)
    return Gateways(spawner, start, Reports(emit, lambda *_: None, lambda _: None)).start


@pytest.mark.parametrize("part", [_control, _engine, _valkey, _gateways])
@pytest.mark.usefixtures("nothing_lost")
async def test_a_part_for_which_there_is_no_room_is_told_and_tried_until_there_is(
    part: Callable[[Spawner, Emit], Callable[[], Awaitable[None]]], waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answers(socket: Path) -> bool:
        return True

    monkeypatch.setattr("serving.processes.embedded_state.answers", answers)
    monkeypatch.setattr("pathlib.Path.mkdir", lambda *_, **__: None)
    spawner, events = FakeSpawner(), list[Event]()
    restarted = asyncio.Event()

    def emit(event: Event) -> None:
        events.append(event)
        if event.kind == "restarted":
            restarted.set()

    await part(cast("Spawner", spawner), emit)()
    spawner.full = 2
    spawner.children[0].end()
    async with asyncio.timeout(10):
        await restarted.wait()
    assert [event.kind for event in events] == ["crashed", "restarting", "restarting", "restarted"]
    assert "could not be started (Resource temporarily unavailable)" in events[1].text
    assert waits == [2, 3]
    assert len(spawner.children) == 2
    spawner.children[1].end()


class FakeGuardian:
    """A process that ends when it is told to."""

    stdin = None
    returncode = None

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def wait(self) -> int:
        await self.over.wait()
        return 1


@pytest.mark.usefixtures("nothing_lost")
async def test_so_is_the_guardian(monkeypatch: pytest.MonkeyPatch) -> None:
    spawned: list[FakeGuardian] = []
    outcomes = iter([False, True, True, False])

    async def spawn(*_: object, **__: object) -> FakeGuardian:
        if next(outcomes):
            raise NO_ROOM
        spawned.append(FakeGuardian())
        return spawned[-1]

    monkeypatch.setattr("asyncio.create_subprocess_exec", spawn)
    told: asyncio.Queue[Event] = asyncio.Queue()
    guardian = GuardianProcess("s", Path("/r"), told.put_nowait)
    await guardian.start()
    spawned[0].over.set()
    async with asyncio.timeout(10):
        assert [(await told.get()).kind for _ in range(3)] == ["restarting", "restarting", "restarted"]
    await guardian.finish()
