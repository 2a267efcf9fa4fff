"""Takes new connections by the dozen, where the loop itself takes one a turn."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial

log = logging.getLogger(__name__)

# Each costs some 50 us, and workers that share a listener should share what comes.
_A_TURN = 32


class Acceptor:
    """Makes protocol factories of servers, which with the first connection of a turn take others that wait.

    libuv accepts one connection in a turn of the loop. While turns last 20 ms, thousands of clients that connect at
    once would wait for a minute, and some for good: the kernel drops what finds its queue full, and asks again after
    1, 3, 7, 15 and 31 s.
    """

    def __init__(self, connection: Callable[[], asyncio.Protocol]) -> None:
        self._connection = connection
        self._looking: set[socket.socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, listener: socket.socket) -> Callable[[], asyncio.Protocol]:
        """The factory of this listener's server."""
        return partial(self._accepted, listener)

    async def settled(self) -> None:
        """Whatever was taken has become a connection; call once the listeners are closed."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _accepted(self, listener: socket.socket) -> asyncio.Protocol:
        if listener not in self._looking:
            self._looking.add(listener)
            asyncio.get_running_loop().call_soon(self._take, listener)
        return self._connection()

    def _take(self, listener: socket.socket) -> None:
        self._looking.discard(listener)
        for _ in range(_A_TURN):
            try:
                peer, _ = listener.accept()
            except OSError:
                # Nobody waits, or the listener is closed. Of want of descriptors the server itself will tell.
                return
            task = asyncio.get_running_loop().create_task(self._connect(peer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, peer: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._connection, peer)
        except OSError as error:
            log.debug("a connection was lost before it was one: %s", error)
            peer.close()
