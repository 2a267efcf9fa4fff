"""Where the routing table in force is kept: in this process, or in the control Redis that gateways follow."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from serving.errors import Unavailable
from serving.routing.table import RouteTable, dump, load

if TYPE_CHECKING:
    from serving.state.table_store import TableStore


class TablePlace(Protocol):
    """One table, which only a higher epoch replaces."""

    async def current(self) -> RouteTable:
        """The table in force.

        Raises:
            Unavailable: the control Redis did not answer.
        """

    async def publish(self, table: RouteTable, number: int = 0) -> bool:
        """Put it in force; False where another one of its epoch or a higher one is.

        `number` is that of the controller of rollouts who wants it, 0 where none does.

        Raises:
            InUse: a later controller has begun.
            Unavailable: the control Redis did not answer.
        """


class HeldTable:
    """For an engine without a control state."""

    def __init__(self, table: RouteTable) -> None:
        self._table = table

    async def current(self) -> RouteTable:
        """See `TablePlace.current`."""
        return self._table

    async def publish(self, table: RouteTable, number: int = 0) -> bool:
        """See `TablePlace.publish`; one process has one controller."""
        del number
        if table.epoch <= self._table.epoch:
            return False
        self._table = table
        return True


class RedisTable:
    """In the control Redis; `first` is the session's own, until the engine has published it."""

    def __init__(self, url: str, first: RouteTable) -> None:
        self._url = url
        self._first = first

    async def current(self) -> RouteTable:
        """See `TablePlace.current`."""
        store = self._store()
        try:
            data = await store.current()
        finally:
            await store.stop()
        return self._first if data is None else load(data)

    async def publish(self, table: RouteTable, number: int = 0) -> bool:
        """See `TablePlace.publish`."""
        store = self._store()
        try:
            published = await store.publish(dump(table), table.epoch, number)
            if published:
                # The table is in force, whatever becomes of this.
                with contextlib.suppress(Unavailable):
                    await store.remember(frozenset({*self._first.routes, *table.routes}))
        finally:
            await store.stop()
        return published

    def _store(self) -> TableStore:
        # The Redis client takes 0.17 s to import, which the start of a session need not wait for.
        from serving.state.table_store import TableStore  # noqa: PLC0415

        return TableStore(self._url)
