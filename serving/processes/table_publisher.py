"""Puts the session's routing table into the control Redis, and again whenever that server came back empty."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import replace

from serving.errors import ConfigInvalid, Unavailable
from serving.processes.session_table import session_table
from serving.processes.start_message import StartMessage
from serving.routing.table import RouteTable, dump, load
from serving.state.table_store import TableStore

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0


class TablePublisher:
    """Looks once a second; a table that somebody else put in force with a higher epoch is left alone."""

    def __init__(self, store: TableStore, table: RouteTable) -> None:
        self._store = store
        self._table = table
        self._placed = False

    async def keep(self, stopping: threading.Event) -> None:
        """Until told to stop; a server that is away is waited for, and the table stays there in the end."""
        try:
            while not stopping.is_set():
                try:
                    await self.look()
                except Unavailable as error:
                    log.debug("the routing table waits to be published: %s", error.message)
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            await self._store.stop()

    async def look(self) -> None:
        """Publish the table where there is none, and once above the one an earlier session left.

        Raises:
            Unavailable: the control Redis did not answer.
        """
        there = _readable(await self._store.current())
        if there is None:
            await self._publish(self._table)
        elif not self._placed and there.routes != self._table.routes:
            await self._publish(replace(self._table, epoch=there.epoch + 1))
        elif there.epoch > self._table.epoch:
            # What was put in force since is what a server that comes back empty must get.
            self._table = there
        self._placed = True

    async def _publish(self, table: RouteTable) -> None:
        if await self._store.publish(dump(table), table.epoch):
            self._table = table


def publish_first_table(start: StartMessage, stopping: threading.Event) -> None:
    """Keep the session's table published from a thread of its own: the engine's main thread belongs to Ray.

    Raises:
        ConfigInvalid: the configuration in the start message is none.
    """
    if not start.control_url:
        return
    table = session_table(start)

    async def keep() -> None:
        await TablePublisher(TableStore(start.control_url), table).keep(stopping)

    threading.Thread(target=asyncio.run, args=(keep(),), name="publish the routing table", daemon=True).start()


def _readable(data: bytes | None) -> RouteTable | None:
    if data is None:
        return None
    try:
        return load(data)
    except ConfigInvalid as error:
        log.warning("the control Redis holds a routing table that this release cannot read: %s", error.message)
        return None
