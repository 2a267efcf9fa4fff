"""A gRPC edge on a real socket and uvloop, and grpc's own client for it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from grpc import aio

from serving.edge.budget import ByteBudget
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.server import GrpcServer
from serving.edge.worker import Worker
from serving.protocol.open_inference import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from serving.testing.predictions import FakePredictions, RecordingObserver

SERVICE = "/inference.GRPCInferenceService/"
HEALTH = "/grpc.health.v1.Health/"


class Edge:
    """A server on an ephemeral port, and channels to it."""

    def __init__(self, limits: GrpcLimits, predictions: FakePredictions, budget: int) -> None:
        self.predictions = predictions
        self.observer = RecordingObserver()
        self.budget = ByteBudget(budget)
        self.server = GrpcServer(predictions, limits, self.observer, Worker(self.budget))
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.target = "{}:{}".format(*self.sock.getsockname())
        self.channels: list[aio.Channel] = []

    def channel(self, *options: tuple[str, Any]) -> aio.Channel:
        unlimited = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
        channel = aio.insecure_channel(self.target, options=[*unlimited, *options])
        self.channels.append(channel)
        return channel

    def infer(self, channel: aio.Channel | None = None) -> Any:
        return unary(channel or self.channel(), f"{SERVICE}ModelInfer", ModelInferResponse)

    def stream(self) -> Any:
        return self.channel().stream_stream(
            f"{SERVICE}ModelStreamInfer",
            request_serializer=ModelInferRequest.SerializeToString,
            response_deserializer=ModelStreamInferResponse.FromString,
        )

    async def end(self) -> None:
        for channel in self.channels:
            await channel.close()
        await self.server.drain(0.0)


def unary(channel: aio.Channel, path: str, answer: Any) -> Any:
    return channel.unary_unary(
        path, request_serializer=lambda asked: asked.SerializeToString(), response_deserializer=answer.FromString
    )


Use = Callable[[Edge], Coroutine[Any, Any, None]]


def run(
    use: Use, limits: GrpcLimits | None = None, predictions: FakePredictions | None = None, budget: int = 1 << 29
) -> None:
    """Run `use` on uvloop beside a server, and drain it; afterwards nothing is held."""

    async def main() -> None:
        edge = Edge(limits or GrpcLimits(), predictions or FakePredictions(), budget)
        await edge.server.listen(edge.sock)
        try:
            async with asyncio.timeout(30):
                await use(edge)
        finally:
            await edge.end()
        assert edge.server.connections == 0
        assert edge.budget.used == 0

    uvloop.run(main())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nothing announces."""
    while not condition():  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)


async def failure(call: Any) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as failed:
        await call
    error = failed.value
    assert isinstance(error, aio.AioRpcError)
    return error
