"""The versions and the routing table that a session goes by: told to all its parts, and published."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from serving.errors import Unavailable
from serving.inference import VersionKey
from serving.processes.changeover import Changeover
from serving.processes.session_parts import SessionParts
from serving.processes.session_plan import ServedModel
from serving.processes.table_place import HeldTable, RedisTable, TablePlace
from serving.routing.table import RouteTable, dump

# How often a table is made anew because somebody else published one meanwhile.
_TRIES = 5
_AGAIN_AFTER_S = 1.0

Change = Callable[[RouteTable], RouteTable]
Models = dict[VersionKey, ServedModel]


@dataclass(frozen=True, slots=True)
class _Owed:
    """`held` is what workers go by and the control Redis may not know; `refused` nobody is to go by."""

    held: RouteTable
    refused: RouteTable


class InForce:
    """`changing` is held from a table's reading until all have the next one: as long as a control Redis takes, no more.

    During a changeover workers of the new configuration go by the table that it makes of the one in force.
    """

    def __init__(self, parts: SessionParts, models: Models, first: RouteTable) -> None:
        self._parts = parts
        self.models = models
        self.changing = asyncio.Lock()
        self._seen = first
        url = parts.start.control_url
        self._tables: TablePlace = RedisTable(url, first) if url else HeldTable(first)
        self._changeover: Changeover | None = None
        self._owed: _Owed | None = None

    async def known(self) -> RouteTable:
        """The table in force; while the control Redis is away the last known one, as gateways have it."""
        try:
            self._seen = await self.current()
        except Unavailable:
            return self._seen
        return self._seen

    async def current(self) -> RouteTable:
        """The table in force.

        Raises:
            Unavailable: the control Redis did not answer.
        """
        return self._owing(await self._tables.current())

    async def publish(self, change: Change, number: int = 0) -> RouteTable:
        """Put in force what `change` makes of the table; `number` is that of a controller of rollouts.

        Raises:
            InUse: a later controller has begun.
            Unavailable: the control Redis did not answer.
        """
        for _ in range(_TRIES):
            there = await self._tables.current()
            table = change(self._owing(there))
            if table is there or await self._tables.publish(table, number):
                self._owed = None
                return table
        raise Unavailable("others keep publishing routing tables; try again in a moment")

    def put(self, models: Models, table: RouteTable) -> None:
        """Have every part go by them, and those that are started later."""
        self.models = models
        self._seen = table
        served, text = tuple(models.values()), dump(table).decode()
        if self._changeover is None:
            self._parts.gateways.serve(served, text)
        self._parts.gateways.use_table(text)
        if self._parts.engine is not None:
            self._parts.engine.serve(served, text)
        if self._changeover is not None:
            self._hand_on(self._changeover, table)

    def begin(self, changeover: Changeover, now: RouteTable) -> None:
        """Workers that are started from now on go by the new configuration's table; `changing` is held."""
        self._changeover = changeover
        self._hand_on(changeover, now)

    async def finish(self) -> None:
        """Have everybody go by what the changeover makes of the table now; `changing` is held.

        Raises:
            Unavailable: the control Redis did not answer, and the changeover goes on.
        """
        if self._changeover is not None:
            models, table = self._changeover.models, await self.publish(self._changeover.made_of)
            self._changeover = None
            self.put(models, table)

    async def take_back(self) -> None:
        """Have nobody go by what the changeover made, whose epoch workers know; `changing` is held.

        `settle` is to follow.
        """
        made, self._changeover = self._changeover, None
        if made is None:
            return
        now = await self.known()
        # Its publication may have been done all the same.
        routes = made.basis.routes if now.routes == made.handed.routes else now.routes
        held = RouteTable(max(now.epoch, made.handed.epoch) + 1, routes)
        self._owed = _Owed(held, made.handed)
        self.put(self.models, held)

    async def settle(self) -> None:
        """Publish what is owed, until the control Redis has it."""
        while self._owed is not None:
            try:
                async with self.changing:
                    self.put(self.models, await self.publish(lambda now: now))
            except Unavailable:
                await asyncio.sleep(_AGAIN_AFTER_S)

    def _hand_on(self, changeover: Changeover, now: RouteTable) -> None:
        text = dump(changeover.made_of(now)).decode()
        self._parts.gateways.hand_on(tuple(changeover.models.values()), text)

    def _owing(self, there: RouteTable) -> RouteTable:
        """What the control Redis holds, as it is to be: not below what workers were told meanwhile."""
        owed = self._owed
        if owed is None or there.epoch > owed.held.epoch:
            return there
        if there.routes in (owed.held.routes, owed.refused.routes):
            return owed.held
        return RouteTable(owed.held.epoch + 1, there.routes)
