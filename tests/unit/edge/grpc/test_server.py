"""A drained worker leaves nothing behind."""

from __future__ import annotations

import asyncio

from serving.edge.budget import ByteBudget
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.server import GrpcServer
from serving.edge.worker import Worker
from serving.testing.predictions import FakePredictions, RecordingObserver


async def test_what_the_session_was_asked_and_nobody_waits_for_ends_with_the_drain() -> None:
    worker = Worker(ByteBudget(1 << 20))
    server = GrpcServer(FakePredictions(), GrpcLimits(), RecordingObserver(), worker)
    waiting = asyncio.get_running_loop().create_task(asyncio.sleep(1000))
    server._edge.orders.add(waiting)
    await server.drain(0.0)
    assert waiting.cancelled()
