"""The gRPC edge of one worker: listeners, the sweep of time-outs, and a drain that loses no call."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from serving.edge.acceptor import Acceptor
from serving.edge.ended_tasks import end_all
from serving.edge.grpc.connection import Connection
from serving.edge.grpc.edge import GrpcEdge
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.worker import Worker
from serving.observation import Observer
from serving.request_path.predictions import Predictions

log = logging.getLogger(__name__)

_BACKLOG = 2048


class GrpcServer:
    """Serves predictions on any number of listening sockets until it is drained."""

    def __init__(
        self,
        predictions: Predictions,
        limits: GrpcLimits,
        observer: Observer,
        worker: Worker,
    ) -> None:
        self._edge = GrpcEdge(predictions, limits, observer, worker)
        self._acceptor = Acceptor(lambda: Connection(self._edge))
        self._servers: dict[int, asyncio.Server] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._edge.connections)

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
        """Accept nothing more, answer every call that has begun, and return when all connections are gone.

        Clients are first told to take another connection (GOAWAY with the highest stream), and what they send until
        they say that they have heard it (PING) is still answered; then the last call taken is named. Of those who do
        not say so within `goodbye_s` later calls are theirs to repeat. What is left at the end of the grace is closed
        as it is.
        """
        edge = self._edge
        grace_s = edge.limits.drain_grace_s if grace_s is None else grace_s
        edge.draining = True
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        await self._acceptor.settled()
        for connection in list(edge.connections):
            connection.say_goodbye()
        await self._wait_until_gone(min(grace_s, edge.limits.goodbye_s))
        for connection in list(edge.connections):
            connection.take_no_more()
        await self._wait_until_gone(max(grace_s - edge.limits.goodbye_s, 0.0))
        for connection in list(edge.connections):
            connection.abort()
        # The transport says so in the next round of the loop, and only then callers are told to leave.
        await self._wait_until_gone(edge.limits.sweep_s)
        # Who asked is gone. What the session was told it does all the same.
        await end_all(edge.orders)
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

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
