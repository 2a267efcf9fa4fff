"""Answers scrapes: GET /metrics and nothing else, on a port of its own, so that no caller of the gateway reaches it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from serving.telemetry.exposition import rendered
from serving.telemetry.snapshot import Snapshot

_TIMEOUT_S = 10.0
_MAX_HEAD = 16 * 1024

Take = Callable[[], Snapshot]


class MetricsServer:
    """One request per connection; a scraper comes every few seconds."""

    def __init__(self, sock: socket.socket, take: Take) -> None:
        self._sock = sock
        self._take = take
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Accept on the listening socket."""
        self._server = await asyncio.start_server(self._serve, sock=self._sock, limit=_MAX_HEAD)

    async def stop(self) -> None:
        """Close the socket; a page that is being sent is finished by its own time-out."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A scraper that leaves, stalls or talks nonsense is no concern of anybody else.
        with (
            contextlib.closing(writer),
            contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError),
        ):
            async with asyncio.timeout(_TIMEOUT_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                writer.write(await self._answer(head))
                await writer.drain()

    async def _answer(self, head: str) -> bytes:
        request, *headers = head.split("\r\n")
        method, _, rest = request.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _response("405 Method Not Allowed", b"only GET\n", "text/plain")
        if path != "/metrics":
            return _response("404 Not Found", b"the metrics are at /metrics\n", "text/plain")
        # A page of a thousand versions takes seconds to render: in a thread, from a snapshot that nobody changes.
        body, content_type = await asyncio.to_thread(rendered, self._take(), _accept(headers))
        answer = _response("200 OK", body, content_type)
        return answer if method == "GET" else answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def _accept(headers: list[str]) -> str:
    return next((h.partition(":")[2].strip() for h in headers if h.lower().startswith("accept:")), "")


def _response(status: str, body: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
