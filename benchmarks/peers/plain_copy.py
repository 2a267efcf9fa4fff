"""What the socket itself costs: a body is gathered and sent back, behind a head as short as HTTP allows."""

# ruff: noqa: ANN401, D102 -- the names and types are those of asyncio

from __future__ import annotations

import asyncio
import re
from typing import Any

import uvloop

from benchmarks.peers import options

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = re.compile(rb"inference-header-content-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


class Handler(asyncio.Protocol):
    """One connection, one request at a time; the tensor's bytes go back without the JSON before them."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._missing = 0
        self._skip = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            end = data.index(_END) + len(_END)
            head = data[:end]
            lengths = [int(match) for match in _LENGTH.findall(head.replace(b"inference-header-content-length", b"x"))]
            self._missing = lengths[0]
            skip = _HEAD.search(head.lower())
            self._skip = int(skip.group(1)) if skip else 0
            data = data[end:]
        self._parts.append(data)
        self._missing -= len(data)
        if not self._missing:
            body = b"".join(self._parts)
            self._parts.clear()
            answer = memoryview(body)[self._skip :]
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer))
            self._transport.write(answer)


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Handler, options.ADDRESS, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(options.read().port))
