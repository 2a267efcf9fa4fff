"""Models that only this gateway's configuration knows, put into the table that other gateways have in force."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Protocol

from serving.errors import ConfigInvalid, Unavailable
from serving.routing.table import RouteTable, dump, load

log = logging.getLogger(__name__)

# How often a table is made anew because somebody else published one meanwhile.
_TRIES = 5


class Store(Protocol):
    """Where the table in force is; `remembered` are models that tables have led to."""

    async def current(self) -> bytes | None:
        """The table in force, None where there is none."""

    async def publish(self, table: bytes, epoch: int, number: int = 0) -> bool:
        """Put it in force unless one of the same or a higher epoch is there."""

    async def remembered(self) -> frozenset[str]:
        """Every model that a table was published with, and that one may have led to before."""

    async def remember(self, models: frozenset[str]) -> None:
        """Add to them."""


class OwnModels:
    """`first` is the table that the configuration makes; what the one in force says of a model stays."""

    def __init__(self, store: Store, first: RouteTable) -> None:
        self._store = store
        self._first = first
        self._missing = asyncio.Event()

    def delivered(self, data: bytes | None) -> None:
        """Look at a table that somebody put in force, or that was there."""
        table = _readable(data)
        if table is not None and not self._first.routes.keys() <= table.routes.keys():
            self._missing.set()

    async def keep(self) -> None:
        """Add them, again and again, to tables that do not have them; a server that is away is waited for."""
        while True:
            await self._missing.wait()
            self._missing.clear()
            with contextlib.suppress(Unavailable):
                await self.add()

    async def add(self) -> None:
        """Publish a table with them, where there is a table; one that an order took out of it stays out.

        Raises:
            Unavailable: the control Redis did not answer.
        """
        for _ in range(_TRIES):
            table = _readable(await self._store.current())
            if table is None:
                return
            known = table.routes.keys() | await self._store.remembered()
            new = {model: route for model, route in self._first.routes.items() if model not in known}
            if not new:
                return
            wider = RouteTable(table.epoch + 1, {**table.routes, **new})
            if await self._store.publish(dump(wider), wider.epoch):
                await self._store.remember(frozenset(wider.routes))
                log.info("models that only this configuration knows were added to the routing table: %s", sorted(new))
                return


def _readable(data: bytes | None) -> RouteTable | None:
    try:
        return None if data is None else load(data)
    except ConfigInvalid:
        return None
