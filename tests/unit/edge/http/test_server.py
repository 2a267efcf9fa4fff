"""The sweep goes on, whatever one connection does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from serving.edge.http.edge import Swept
from serving.edge.http.limits import HttpLimits
from serving.edge.http.server import HttpServer
from serving.testing.predictions import FakePredictions, RecordingObserver


@dataclass(eq=False)
class FakeConnection:
    raises: bool = False
    swept: int = 0
    aborted: bool = False
    idle_since: float | None = None

    def sweep(self, now: float) -> None:
        assert now <= time.monotonic()
        if self.raises:
            raise ZeroDivisionError
        self.swept += 1

    def close_if_idle(self) -> bool:
        return False

    def abort(self) -> None:
        self.aborted = True


async def test_a_connection_that_cannot_be_swept_is_closed_and_the_others_are_swept_on() -> None:
    server = HttpServer(FakePredictions(), HttpLimits(), RecordingObserver())
    broken, sound = FakeConnection(raises=True), FakeConnection()
    connections: dict[Swept, None] = server._edge.connections
    connections |= {broken: None, sound: None}
    sweep: Callable[[], None] = server._sweep
    sweep()
    assert broken.aborted
    assert sound.swept == 1
    assert server._sweeping is not None
    server._stop_sweeping()


async def test_what_the_session_was_asked_and_nobody_waits_for_ends_with_the_drain() -> None:
    server = HttpServer(FakePredictions(), HttpLimits(), RecordingObserver())
    waiting = asyncio.get_running_loop().create_task(asyncio.sleep(1000))
    server._edge.orders.add(waiting)
    await server.drain(0.0)
    assert waiting.cancelled()
