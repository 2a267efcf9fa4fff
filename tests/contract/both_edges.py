"""Both edges of one worker on loopback, over the request path and models in this process, or over canned answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import uvloop

from serving.backends.in_process import InProcess
from serving.deadline import LoopTimers
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.server import GrpcServer
from serving.edge.http.limits import HttpLimits
from serving.edge.http.server import HttpServer
from serving.edge.worker import Worker
from serving.inference import Batch, Outputs, VersionKey
from serving.request_path.predict import Predictor
from serving.request_path.predictions import Predictions
from serving.routing.table import Route, RouteTable, Served, Split
from serving.runtime.loaded_model import ModelSource
from serving.telemetry.recorder import Recorder
from serving.testing.administration import FakeAdministration
from serving.testing.predictions import RecordingObserver

HANGS = VersionKey("hangs", 1)
RELEASE = "1.2.3"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the edges answer."""

    http: int
    grpc: int


class Hanging(InProcess):
    """Never answers for `HANGS`."""

    async def run(self, batch: Batch) -> Outputs:
        if batch.key == HANGS:
            await asyncio.Event().wait()
        return await super().run(batch)


Begin = Callable[[], contextlib.AbstractAsyncContextManager[Predictions]]


@contextmanager
def served(begin: Begin) -> Iterator[Ports]:
    """Both edges on a loop and thread of their own."""
    listeners = [socket.socket() for _ in range(2)]
    for one in listeners:
        one.bind(("127.0.0.1", 0))
        one.listen()
    ports = Ports(*(one.getsockname()[1] for one in listeners))
    started = threading.Event()
    failed: list[BaseException] = []
    loop = uvloop.new_event_loop()
    ended = asyncio.Event()

    async def main() -> None:
        async with begin() as predictions:
            http = HttpServer(predictions, HttpLimits(), RecordingObserver(), release=RELEASE)
            grpc = GrpcServer(predictions, GrpcLimits(), RecordingObserver(), Worker(http.budget, release=RELEASE))
            await asyncio.gather(http.listen(listeners[0]), grpc.listen(listeners[1]))
            started.set()
            await ended.wait()
            await asyncio.gather(http.drain(0.0), grpc.drain(0.0))
            assert http.in_flight_bytes == 0

    def run() -> None:
        try:
            loop.run_until_complete(main())
        except BaseException as error:  # noqa: BLE001 - told to the test's thread
            failed.append(error)
        finally:
            started.set()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    try:
        if not failed:
            yield ports
    finally:
        if not failed:
            loop.call_soon_threadsafe(ended.set)
        thread.join()
        for error in failed:
            raise error


@contextlib.asynccontextmanager
async def predictor(sources: list[ModelSource]) -> AsyncIterator[Predictions]:
    """The request path over these versions, each model answering by its highest; the session is canned."""
    backend = Hanging(sources)
    settled = asyncio.Event()
    backend.on_change(lambda _: settled.set() if backend.settled() else None)
    await backend.start()
    async with asyncio.timeout(60):
        await settled.wait()
    assert not backend.refused()
    made = Predictor({"gateway": backend}, LoopTimers(time.monotonic), Recorder(), time.monotonic)
    made.administration = FakeAdministration()
    made.variants.adopt(RouteTable(1, _routes([source.key for source in sources])))
    try:
        yield made
    finally:
        await backend.stop()


def _routes(keys: list[VersionKey]) -> Mapping[str, Route]:
    versions: dict[str, list[int]] = {}
    for key in keys:
        versions.setdefault(key.model, []).append(key.version)
    return {
        model: Route(
            model,
            "salt",
            (Split("stable", max(known), 10_000),),
            tuple(Served(version, "gateway", deadline_ms=20_000) for version in known),
        )
        for model, known in versions.items()
    }
