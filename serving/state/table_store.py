"""The routing table in the control Redis: published only forwards, delivered as bytes to whoever follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import redis.asyncio

from serving.errors import InUse, Unavailable
from serving.state import keys
from serving.state.connection import UNREACHABLE, connect
from serving.state.follower import Follower

# One script, so that no two publishers can pass each other between the comparison and the write. A table that cannot
# be read is replaced. The channel carries the epoch. Where a controller of rollouts wants the table, it is refused if a
# later one has begun, whichever supervisor it asks.
_PUBLISH = """
if tonumber(ARGV[3]) > 0 and tonumber(ARGV[3]) < tonumber(redis.call('GET', KEYS[2]) or '0') then
  return -1
end
local held = redis.call('GET', KEYS[1])
if held then
  local readable, table = pcall(cjson.decode, held)
  if readable and type(table) == 'table' and tonumber(table.epoch or 0) >= tonumber(ARGV[2]) then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PUBLISH', KEYS[1], ARGV[2])
return 1
"""


class TableStore:
    """One per process, on its loop; `deliver` gets the bytes of each table seen, None where there is none.

    Whether a table is adopted is the receiver's decision: it may come again, older, or unreadable.
    """

    def __init__(self, url: str, deliver: Callable[[bytes | None], object] | None = None) -> None:
        self._client: redis.asyncio.Redis = connect(url)
        self._deliver = deliver
        self._follower = Follower(self._client, keys.TABLE, self._look)

    def follow(self) -> None:
        """Begin to deliver; goes on through any state of the server until `stop`."""
        self._follower.start()

    async def stop(self) -> None:
        """End the following and the connections."""
        await self._follower.stop()
        await self._client.aclose()

    async def publish(self, table: bytes, epoch: int, number: int = 0) -> bool:
        """Put the table in force unless one of the same or a higher epoch is there; tell whether it was put.

        `number` is that of the controller of rollouts who wants it, 0 where none does.

        Raises:
            InUse: a later controller has begun.
            Unavailable: the server did not answer within a second.
        """
        try:
            done = await self._client.eval(_PUBLISH, 2, keys.TABLE, keys.CONTROLLER_NUMBER, table, epoch, number)
        except UNREACHABLE as error:
            raise Unavailable(f"the control Redis did not take the routing table: {error}") from error
        if done < 0:
            raise InUse(f"controller {number} of rollouts was replaced by another one; it changes nothing any more")
        return bool(done)

    async def current(self) -> bytes | None:
        """The table in force, None where there is none.

        Raises:
            Unavailable: the server did not answer within a second.
        """
        try:
            return await self._read()
        except UNREACHABLE as error:
            raise Unavailable(f"the control Redis did not give the routing table: {error}") from error

    async def remembered(self) -> frozenset[str]:
        """Every model that a table was published with, and that one may have led to before.

        Raises:
            Unavailable: the server did not answer within a second.
        """
        try:
            found = await self._client.smembers(keys.ROUTED)
        except UNREACHABLE as error:
            raise Unavailable(f"the control Redis did not tell the models: {error}") from error
        return frozenset(name.decode() for name in cast("set[bytes]", found))

    async def remember(self, models: frozenset[str]) -> None:
        """Add to them.

        Raises:
            Unavailable: the server did not answer within a second.
        """
        try:
            await self._client.sadd(keys.ROUTED, *models)
        except UNREACHABLE as error:
            raise Unavailable(f"the control Redis did not take the models: {error}") from error

    async def _look(self) -> None:
        table = await self._read()
        if self._deliver is not None:
            self._deliver(table)

    async def _read(self) -> bytes | None:
        return cast("bytes | None", await self._client.get(keys.TABLE))
