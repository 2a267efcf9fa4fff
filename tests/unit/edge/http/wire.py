"""A connection without sockets: a transport that remembers what was written, a clock that is set by hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson

from serving.edge.http.connection import Connection
from serving.edge.http.edge import Edge
from serving.edge.http.limits import HttpLimits
from serving.testing.predictions import FakePredictions, RecordingObserver

GET = b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n"


class FakeTransport(asyncio.Transport):
    """Remembers what was written; raises as uvloop does when written to while closing."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closing = False
        self.aborted = False
        self.reading = True
        self.eof_written = False
        self.buffered = 0
        self.on_write: Any = None

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def is_reading(self) -> bool:
        return self.reading

    def was_aborted(self) -> bool:
        return self.aborted

    def was_finished(self) -> bool:
        return self.eof_written

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closing:
            raise RuntimeError("unable to perform operation; the handler is closed")
        self.writes.append(bytes(data))
        if self.on_write is not None:
            self.on_write()

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True
        self.aborted = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof_written = True

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed twice"
        self.reading = True


@dataclass
class Response:
    """One response as a client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> str:
        assert self.headers["content-type"] == "application/json"
        text = self.json["error"]
        assert isinstance(text, str)
        return text


def responses(data: bytes, *, heads_only: bool = False) -> list[Response]:
    """Cut what was written into responses, each by its Content-Length."""
    found = []
    while data:
        head, data = data.split(b"\r\n\r\n", 1)
        status_line, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = 0 if heads_only or status_line.split()[1] == "100" else int(headers["content-length"])
        found.append(Response(int(status_line.split()[1]), headers, data[:length]))
        data = data[length:]
    return found


@dataclass
class Wire:
    """One connection and what stands around it."""

    limits: HttpLimits = field(default_factory=HttpLimits)
    predictions: FakePredictions = field(default_factory=FakePredictions)
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.edge = Edge(self.predictions, self.limits, self.observer, lambda: self.now, "1.2.3")
        self.transport, self.connection = self.connect()

    def connect(self) -> tuple[FakeTransport, Connection]:
        transport, connection = FakeTransport(), Connection(self.edge)
        connection.connection_made(transport)
        return transport, connection

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def sweep(self, after_s: float, times: int = 2) -> None:
        """Let time pass and look at the connections; twice, as where the loop goes round meanwhile."""
        self.now += after_s
        self.edge.now = self.now
        for _ in range(times):
            for connection in list(self.edge.connections):
                connection.sweep(self.now)

    @property
    def answers(self) -> list[Response]:
        return responses(self.transport.written)

    @property
    def answer(self) -> Response:
        (only,) = self.answers
        return only

    def ask(self, data: bytes) -> Response:
        """The one answer to what is sent now."""
        already = len(self.answers)
        self.send(data)
        (only,) = self.answers[already:]
        return only


def infer(values: str = "1,2,3", *, path: str = "/v2/models/mlp/infer", headers: str = "", more: str = "") -> bytes:
    """A well-formed infer request for one row."""
    count = values.count(",") + 1
    body = f'{{"inputs":[{{"name":"input","shape":[1,{count}],"datatype":"FP32","data":[{values}]}}]{more}}}'
    return post(body, path=path, headers=headers)


def post(body: str | bytes, *, path: str = "/v2/models/mlp/infer", headers: str = "") -> bytes:
    body = body.encode() if isinstance(body, str) else body
    return f"POST {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def holding(limits: HttpLimits | None = None) -> Wire:
    """A connection whose predictions wait until they are released."""
    return Wire(limits=limits or HttpLimits(), predictions=FakePredictions(hold=True))


def mean(response: Any) -> float:
    """The one value of the one output of an infer answer."""
    (output,) = response.json["outputs"]
    (value,) = output["data"]
    assert isinstance(value, float)
    return value
