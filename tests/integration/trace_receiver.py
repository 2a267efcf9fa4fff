"""A receiver of OTLP over HTTP that keeps what it is sent, read with the messages of opentelemetry-proto."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


class Received(NamedTuple):
    """A span as it was sent; ids in hexadecimal, times in nanoseconds since 1970."""

    service: str
    instance: str
    name: str
    trace_id: str
    span_id: str
    parent: str
    start: int
    end: int
    kind: int
    state: str
    links: tuple[tuple[str, str], ...]
    attributes: Mapping[str, str | float]
    failed: bool


class Receiver:
    """`status` is what it answers; `posts` counts requests, `headers` are the last one's."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.posts = 0
        self.headers: Mapping[str, str] = {}
        self.spans: list[Received] = []

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.posts += 1
        self.headers = headers
        assert path == "/v1/traces"
        assert headers["content-type"] == "application/x-protobuf"
        if self.status == 200:
            self.spans += spans_of(body)

    def trace(self, trace_id: str, done: Callable[[list[Received]], object], within_s: float = 30.0) -> list[Received]:
        """A trace's spans once they are `done`."""
        ends = time.monotonic() + within_s
        while not done(found := [span for span in self.spans if span.trace_id == trace_id]):
            assert time.monotonic() < ends, f"of {trace_id} came {found}"
            time.sleep(0.05)
        return found


def spans_of(body: bytes) -> list[Received]:
    """What an ExportTraceServiceRequest holds."""
    found = []
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        of = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            assert scope.scope.name == "sluice"
            found += [
                _received(str(of["service.name"]), str(of.get("service.instance.id", "")), span) for span in scope.spans
            ]
    return found


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(receiver.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _received(service: str, instance: str, span: Span) -> Received:
    return Received(
        service,
        instance,
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.kind,
        span.trace_state,
        tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        _attributes(span.attributes),
        span.status.code == Status.STATUS_CODE_ERROR,
    )


def _attributes(given: Iterable[KeyValue]) -> dict[str, str | float]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in given}
