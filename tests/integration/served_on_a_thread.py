"""A server of a test's own protocol on a loop of its own, for clients that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Connected(asyncio.Protocol):
    """A connection that is ended with its server; what it answers is in `data_received`."""

    def __init__(self, connected: list[asyncio.Transport]) -> None:
        self.connected = connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.connected.append(transport)


@contextmanager
def served(protocol: Callable[[list[asyncio.Transport]], Connected]) -> Iterator[int]:
    """The port on which each connection is answered by a `protocol` of its own."""
    connected: list[asyncio.Transport] = []

    async def end() -> None:
        server.close()
        for transport in connected:
            transport.abort()
        # Their ends are told in the next turn.
        await asyncio.sleep(0)
        loop.call_soon(loop.stop)

    loop = asyncio.new_event_loop()
    starting = loop.create_server(lambda: protocol(connected), "127.0.0.1", 0, backlog=1_000)
    server = loop.run_until_complete(starting)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    thread.join()
    loop.close()
