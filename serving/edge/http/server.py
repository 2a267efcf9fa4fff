"""The HTTP edge of one worker: listeners, the sweep of time-outs, and a drain that loses no request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable

from serving.edge.acceptor import Acceptor
from serving.edge.budget import ByteBudget
from serving.edge.ended_tasks import end_all
from serving.edge.http.connection import Connection
from serving.edge.http.edge import Edge
from serving.edge.http.limits import HttpLimits
from serving.observation import Observer
from serving.request_path.predictions import Predictions

log = logging.getLogger(__name__)

_BACKLOG = 2048


class HttpServer:
    """Serves predictions on any number of listening sockets until it is drained."""

    def __init__(
        self,
        predictions: Predictions,
        limits: HttpLimits,
        observer: Observer,
        clock: Callable[[], float] = time.monotonic,
        release: str = "0",
    ) -> None:
        self._edge = Edge(predictions, limits, observer, clock, release)
        self._acceptor = Acceptor(lambda: Connection(self._edge))
        self._servers: dict[int, asyncio.Server] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._edge.connections)

    @property
    def budget(self) -> ByteBudget:
        """What counts them, for whoever holds bytes beside this edge."""
        return self._edge.budget

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of requests and answers that are held now."""
        return self._edge.budget.used

    async def listen(self, sock: socket.socket) -> None:
        """Accept connections on a bound stream socket, which is this server's to close from now on."""
        loop = asyncio.get_running_loop()
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Accepted sockets inherit it: an answer that the peer's kernel never acknowledges ends the connection.
            stall_ms = int(self._edge.limits.write_stall_s * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stall_ms)
        number = sock.fileno()
        self._servers[number] = await loop.create_server(self._acceptor.of(sock), sock=sock, backlog=_BACKLOG)
        if self._sweeping is None:
            self._sweep()

    def stop_accepting(self, sock: socket.socket) -> None:
        """Close this process's copy of a listener; connections it had accepted stay."""
        server = self._servers.pop(sock.fileno(), None)
        if server is not None:
            server.close()

    async def drain(self, grace_s: float | None = None) -> None:
        """Accept nothing more, answer what is there with `connection: close`, and return when all are gone.

        Idle connections stay open during the grace: a client that sends its next request is answered and told to close,
        where closing would have cut it off. What is left at the end of the grace is closed as it is.
        """
        edge = self._edge
        grace_s = edge.limits.drain_grace_s if grace_s is None else grace_s
        edge.draining = True
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        await self._acceptor.settled()
        await self._wait_until_gone(grace_s)
        for connection in list(edge.connections):
            connection.close_if_idle()
        await self._wait_until_gone(edge.limits.sweep_s)
        for connection in list(edge.connections):
            connection.abort()
        # The transport says so in the next round of the loop, and only then callers are told to leave.
        await self._wait_until_gone(edge.limits.sweep_s)
        self._stop_sweeping()
        # Who asked is gone. What the session was told it does all the same.
        await end_all(edge.orders)
        await edge.oversize.stop()
        await edge.compression.stop()

    async def _wait_until_gone(self, timeout_s: float) -> None:
        if not self._edge.connections:
            return
        emptied = asyncio.Event()
        self._edge.on_empty = emptied.set
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await emptied.wait()

    def _sweep(self) -> None:
        edge = self._edge
        edge.now = now = edge.clock()
        self._sweeping = asyncio.get_running_loop().call_later(edge.limits.sweep_s, self._sweep)
        for connection in list(edge.connections):
            try:
                connection.sweep(now)
            except Exception:
                # Without the sweep no connection would ever time out again.
                log.exception("a connection could not be looked at and is closed")
                connection.abort()

    def _stop_sweeping(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
