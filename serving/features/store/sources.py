"""The servers that rows are read from now, for whoever has to hear of writes there."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Protocol

from serving.features.store.redis_address import RedisAddress
from serving.features.store.redis_connection import RedisConnection, connect
from serving.features.store.redis_node import place


class WatchesSources(Protocol):
    """What is told, in the turn in which it happens."""

    def opened(self, address: RedisAddress) -> None:
        """Rows may come from there from now on, and not before."""

    def left(self, where: str) -> None:
        """No connection for reading is left there."""

    def moved(self) -> None:
        """Some rows are read from another server than before, among those that are known."""


class Sources:
    """`addresses` are those with a connection for reading, by their names in logs."""

    def __init__(self) -> None:
        self.addresses: dict[str, RedisAddress] = {}
        self._connections: Counter[str] = Counter()
        self._watcher: WatchesSources | None = None

    def watched_by(self, watcher: WatchesSources | None) -> None:
        """Tell it from now on, and nobody else."""
        self._watcher = watcher

    async def connect(self, address: RedisAddress) -> RedisConnection:
        """A connection for reading; as `redis_connection.connect`."""
        connection = await connect(address)
        where = place(address)
        self._connections[where] += 1
        self.addresses[where] = address
        connection.ended.add_done_callback(partial(self._ended, where))
        if self._watcher is not None:
            self._watcher.opened(address)
        return connection

    def moved(self) -> None:
        """Rows have another place among the servers that are known."""
        if self._watcher is not None:
            self._watcher.moved()

    def _ended(self, where: str, _: object) -> None:
        self._connections[where] -= 1
        if not self._connections[where]:
            del self._connections[where], self.addresses[where]
            if self._watcher is not None:
                self._watcher.left(where)
