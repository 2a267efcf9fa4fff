"""Hears of writes on every server that rows are read from, whichever those are by and by: nodes of a cluster, the
master that Sentinels name, replicas.

Each server tells of its own keys only, and a replica when it has them, which may be after its master told of them. So
what is known is trusted only while each server that rows are read from is heard, and not across a change of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from serving.features.cache.write_listener import HearsOfWrites, ListenerOptions, WriteListener
from serving.features.store.redis_address import RedisAddress
from serving.features.store.redis_node import place
from serving.features.store.sources import Sources

# A server from which nothing has been read for so long is not listened to.
_LEFT_S = 10.0


class WriteListeners:
    """A `WriteListener` for each of the `sources`; owns their tasks."""

    def __init__(
        self, sources: Sources, prefixes: Sequence[bytes], tells: HearsOfWrites, options: ListenerOptions | None = None
    ) -> None:
        self._sources = sources
        self._prefixes = prefixes
        self._tells = tells
        self._options = options
        self._listeners: dict[str, WriteListener] = {}
        self._heard: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving: dict[str, asyncio.TimerHandle] = {}

    @property
    def told_within_s(self) -> float | None:
        """Of the server that took longest, of those that are read; None while one of them is not heard."""
        took = [listener.told_within_s for at, listener in self._listeners.items() if at in self._sources.addresses]
        known = [one for one in took if one is not None]
        return max(known) if known and len(known) == len(took) else None

    async def start(self) -> None:
        """Begin to listen; over once each server was tried."""
        self._sources.watched_by(self)
        for address in list(self._sources.addresses.values()):
            self.opened(address)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """End all tasks and connections."""
        self._sources.watched_by(None)
        for timer in self._leaving.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(listener.stop() for listener in self._listeners.values()))
        self._listeners.clear()

    def opened(self, address: RedisAddress) -> None:
        """Listen there too; until that is heard nothing is trusted."""
        where = place(address)
        if where not in self._listeners:
            told = _ToldBy(where, self)
            listener = self._listeners[where] = WriteListener(address, self._prefixes, told, self._options)
            self._owned(listener.start(), f"listening to {where}")
        self.moved()

    def left(self, where: str) -> None:
        """Nothing is read there; it may come back soon."""
        if (timer := self._leaving.pop(where, None)) is not None:
            timer.cancel()
        self._leaving[where] = asyncio.get_running_loop().call_later(_LEFT_S, self._leave, where)
        if where not in self._heard:
            # The others can be trusted again: no row comes from it.
            self.moved()

    def moved(self) -> None:
        """What was known may have been written where nobody listened: it is not trusted any more."""
        heard = bool(self._heard) and self._heard.issuperset(self._sources.addresses)
        self._tells.trust(heard=heard)

    def invalidate(self, keys: Sequence[bytes]) -> None:
        """Some server says that these were written."""
        self._tells.invalidate(keys)

    def flush(self) -> None:
        """Some server says that all of its rows were; which those are is not known."""
        self._tells.flush()

    def trust(self, where: str, *, heard: bool) -> None:
        """One of the servers is heard from now on, or not any more."""
        if heard:
            self._heard.add(where)
        else:
            self._heard.discard(where)
        self.moved()

    def _leave(self, where: str) -> None:
        del self._leaving[where]
        listener = None if where in self._sources.addresses else self._listeners.pop(where, None)
        if listener is not None:
            self._owned(listener.stop(), f"leaving {where}")

    def _owned(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _ToldBy:
    """What one server tells."""

    def __init__(self, where: str, listeners: WriteListeners) -> None:
        self._where = where
        self._listeners = listeners

    def invalidate(self, keys: Sequence[bytes]) -> None:
        """These keys were written."""
        self._listeners.invalidate(keys)

    def flush(self) -> None:
        """All were."""
        self._listeners.flush()

    def trust(self, *, heard: bool) -> None:
        """Writes are told from now on, or not any more."""
        self._listeners.trust(self._where, heard=heard)
