"""Stands between a reader and its Valkey: passes bytes on late, counts commands, or answers nonsense."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any


class SlowProxy:
    """Listens at `path`; answers of the server at `target` come `delay_s` later, or `nonsense` instead of them.

    With `cut` only half of an answer comes, and the connection ends.
    """

    def __init__(self, target: Path, path: Path) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.path = path
        self.url = f"unix://{path}"
        self.delay_s = 0.0
        self.nonsense = b""
        self.cut = False
        self.asked = b""

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, self.path)

    async def start_tcp(self, tls: ssl.SSLContext | None = None) -> int:
        """Listen on a port instead, with TLS if asked to; the port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=tls)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.close()
            return
        self._own(self._ask(reader, back))
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._own(self._answer(there, late))
        self._own(self._deliver(late, writer))

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(work))

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                self.asked += data
                writer.write(data)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, late: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await reader.read(1 << 16):
                # Like a longer way: what follows closely is as late, and no later.
                late.put_nowait((loop.time() + self.delay_s, data))
        finally:
            late.put_nowait((0.0, b""))

    async def _deliver(self, late: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (arrived := await late.get())[1]:
                await asyncio.sleep(arrived[0] - loop.time())
                if self.cut:
                    writer.write(arrived[1][: len(arrived[1]) // 2])
                    return
                writer.write(self.nonsense or arrived[1])
        finally:
            writer.close()
