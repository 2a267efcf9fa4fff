"""Requests through the whole gateway without sockets: bytes into connections, answers out of them, on a real loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import uvloop

from serving.backends.backend import Changed
from serving.backends.waiting import WaitNotes
from serving.edge.http.connection import Connection
from serving.edge.http.edge import Edge
from serving.edge.http.limits import HttpLimits
from serving.inference import Batch, Hosted, Outputs, Stacked, Tensor, VersionKey
from serving.request_path.predict import Predictor
from serving.routing.table import Route, RouteTable, Served, Split
from serving.telemetry.recorder import Recorder

# Entering and leaving uvloop costs 100 us, which is then spread over so many batches.
PASSES = 100

Run = Callable[[Sequence[Stacked | Tensor], int], tuple[Tensor, ...]]


class Passage:
    """As many connections as bodies; `several` sends a request on each and waits for all answers, `PASSES` times."""

    def __init__(self, hosted: Hosted, run: Run, bodies: Sequence[bytes]) -> None:
        self._loop = uvloop.new_event_loop()
        self._done: asyncio.Event
        self._awaited = 0
        self._requests = [_request(hosted.key, body) for body in bodies]
        self._loop.run_until_complete(self._build(hosted, run))

    def several(self) -> None:
        """Each time one request on every connection, all within one turn of the loop, so that they become one batch."""
        self._loop.run_until_complete(self._passes())

    def close(self) -> None:
        """The loop is this object's own."""
        self._loop.close()

    def answered(self, data: bytes) -> None:
        """Called by each transport with its answer."""
        if not data.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not a prediction: {data[:300]!r}")
        self._awaited -= 1
        if not self._awaited:
            self._done.set()

    async def _build(self, hosted: Hosted, run: Run) -> None:
        loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        recorder = Recorder()
        predictor = Predictor({"gateway": _Inline(hosted, run)}, loop, recorder, loop.time)
        key = hosted.key
        splits = (Split("stable", key.version, 10_000),)
        route = Route(key.model, "salt", splits, (Served(key.version, "gateway"),))
        predictor.variants.adopt(RouteTable(1, {key.model: route}))
        edge = Edge(predictor, HttpLimits(), recorder, loop.time, "0")
        self._connections = [Connection(edge) for _ in self._requests]
        for connection in self._connections:
            connection.connection_made(_Transport(self.answered))

    async def _passes(self) -> None:
        for _ in range(PASSES):
            await self._pass()

    async def _pass(self) -> None:
        self._awaited = len(self._requests)
        self._done.clear()
        for connection, request in zip(self._connections, self._requests, strict=True):
            connection.data_received(request)
        await self._done.wait()


def _request(key: VersionKey, body: bytes) -> bytes:
    # As wrk sends it.
    return (
        f"POST /v2/models/{key.model}/infer HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class _Transport(asyncio.Transport):
    def __init__(self, answered: Callable[[bytes], None]) -> None:
        super().__init__()
        self._answered = answered

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._answered(bytes(data))

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


class _Inline:
    """A backend of one version that runs in the loop's thread, as the gateway's own does with short runs."""

    def __init__(self, hosted: Hosted, run: Run) -> None:
        self._hosted = hosted
        self._run = run

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def hosted(self) -> Mapping[VersionKey, Hosted]:
        return {self._hosted.key: self._hosted}

    def refused(self) -> Mapping[VersionKey, str]:
        return {}

    def settled(self) -> bool:
        return True

    def on_change(self, callback: Changed) -> None:
        """Nothing ever changes."""

    def slots(self, key: VersionKey) -> int:
        return int(key == self._hosted.key)

    def servers(self, key: VersionKey) -> int:
        return self.slots(key)

    def shared_slots(self) -> tuple[int, int] | None:
        return None

    def beside(self) -> bool:
        return False

    def waits(self) -> WaitNotes | None:
        return None

    async def run(self, batch: Batch) -> Outputs:
        return Outputs(self._run(batch.inputs, batch.rows))
