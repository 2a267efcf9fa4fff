"""A gRPC connection without sockets: libnghttp2 on the client's side, a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import ngh2
from ngh2.config import Role

from serving.edge.budget import ByteBudget
from serving.edge.grpc.connection import Connection
from serving.edge.grpc.edge import GrpcEdge
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.rendering import framed
from serving.edge.worker import Worker
from serving.testing.predictions import FakePredictions, RecordingObserver
from tests.unit.edge.grpc.messages import request

INFER = b"/inference.GRPCInferenceService/ModelInfer"
STREAM = b"/inference.GRPCInferenceService/ModelStreamInfer"


def headers_of(path: bytes) -> list[tuple[bytes, bytes]]:
    """What begins every call."""
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"a"),
        (b"content-type", b"application/grpc"),
    ]


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self.reading = True

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Ended:
    """How one call ended: headers and trailers together, messages, and whether the stream was reset."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.data = b""
        self.over = False
        self.reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.headers.get(b"grpc-status", b"-1"))


class Wire:
    """One client and one connection of an edge; `now` is the edge's clock."""

    def __init__(self, limits: GrpcLimits | None = None, predictions: FakePredictions | None = None) -> None:
        self.now = 100.0
        self.predictions = predictions or FakePredictions()
        self.observer = RecordingObserver()
        self.budget = ByteBudget(1 << 26)
        worker = Worker(self.budget, lambda: self.now)
        self.edge = GrpcEdge(self.predictions, limits or GrpcLimits(), self.observer, worker)
        self.client = ngh2.Connection(Role.CLIENT, ngh2.Configuration(auto_window_update=True))
        self.calls: dict[int, Ended] = {}
        self.goodbyes: list[int] = []
        self.join()

    def join(self) -> None:
        """Connect, without a word yet."""
        self.transport = Transport()
        self.connection = Connection(self.edge)
        self.connection.connection_made(self.transport)

    def greet(self) -> Wire:
        """Say what begins HTTP/2."""
        self.client.initiate_connection()
        self.pump()
        self.pump()
        return self

    def pump(self) -> None:
        """Carry bytes both ways."""
        data = self.client.data_to_send()
        if data and not self.transport.closed:
            self.connection.data_received(data)
        self.take()

    def take(self) -> None:
        """Let the client read what was written."""
        written, self.transport.written = self.transport.written, []
        if not written:
            return
        # A client that was told to go, and has nothing left to hear, hears nothing more.
        with contextlib.suppress(ngh2.ConnectionStateError):
            for data in written:
                self.client.receive_data(data)
        for event in self.client.events():
            self._heard(event)

    def begin(self, path: bytes = INFER, *more: tuple[bytes, bytes]) -> int:
        """A call's headers."""
        number = self.client.send_request([*headers_of(path), *more])
        self.calls[number] = Ended()
        self.pump()
        return number

    def ask(self, *more: tuple[bytes, bytes]) -> int:
        """A whole call."""
        number = self.begin(INFER, *more)
        # Unless it was answered already.
        with contextlib.suppress(ngh2.StreamProtocolError):
            self.client.send_data(number, framed(request().SerializeToString()), end_stream=True)
        self.pump()
        return number

    def sweep(self, seconds: float) -> None:
        """That much later the server looks at its connections."""
        self.now += seconds
        self.edge.now = self.now
        self.connection.sweep(self.now)
        self.take()

    def lose(self) -> None:
        """The connection is gone."""
        self.connection.connection_lost(None)

    def _heard(self, event: ngh2.Event) -> None:
        if isinstance(event, ngh2.GoAwayReceived):
            self.goodbyes.append(event.last_stream_id)
        elif isinstance(event, ngh2.ResponseReceived | ngh2.TrailersReceived):
            self.calls[event.stream_id].headers.update(dict(event.headers))
        elif isinstance(event, ngh2.DataReceived):
            self.calls[event.stream_id].data += event.data
        elif isinstance(event, ngh2.StreamReset):
            self.calls[event.stream_id].reset = event.error_code
        elif isinstance(event, ngh2.StreamClosed) and event.stream_id in self.calls:
            self.calls[event.stream_id].over = True
