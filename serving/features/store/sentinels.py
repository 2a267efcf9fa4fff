"""Where the master of a service is, as Redis Sentinel tells it (the protocol for Sentinel clients of redis.io)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

from serving.errors import ServingError, Unavailable
from serving.features.store.redis_address import RedisAddress
from serving.features.store.redis_connection import RedisConnection, connect
from serving.features.store.redis_node import Connection, place
from serving.features.store.slot_map import Place
from serving.features.store.sources import Sources
from serving.features.store.store_address import StoreAddress
from serving.features.store.tls_failure import in_words

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SentinelOptions:
    """Seconds: how long a Sentinel may take to answer, and how often it is asked while a connection lasts."""

    answer_s: float = 0.3
    every_s: float = 1.0


class Sentinels:
    """Those that answered last are asked first; connections to what they name are among the `sources`."""

    def __init__(
        self, store: StoreAddress, options: SentinelOptions | None = None, sources: Sources | None = None
    ) -> None:
        self._store = store
        self._sources = sources or Sources()
        self._options = options or SentinelOptions()
        self._known = list(store.known)
        self._master: Place | None = None

    async def open_master(self) -> RedisConnection:
        """A connection to whatever is the master now.

        Raises:
            OSError: nobody listens there.
            Unavailable: no Sentinel answers, or none knows the service; or the server is no master (yet).
        """
        at = await self.master()
        connection = await self._sources.connect(self._store.at(*at))
        try:
            await _must_be_master(connection, at)
        except BaseException:
            connection.abort("it is no master")
            raise
        self._master = at
        return connection

    async def open_replica(self) -> RedisConnection:
        """A connection to any replica that its Sentinels find well.

        Raises:
            OSError: nobody listens there.
            Unavailable: no Sentinel answers, or there is no such replica.
        """
        reply = await self._told(b"REPLICAS", self._store.service.encode())
        places = [at for at in map(_well, reply if isinstance(reply, list) else []) if at is not None]
        if not places:
            raise Unavailable(f"the service {self._store.service!r} has no replica that is well")
        return await self._sources.connect(self._store.at(*random.choice(places)))  # noqa: S311 - no secret

    async def follow(self, connection: Connection) -> None:
        """End the connection once the Sentinels name another master: the old one may live on, cut off."""
        while True:
            await asyncio.sleep(self._options.every_s)
            try:
                at = await self.master()
            except (OSError, ServingError) as error:
                # The master needs no Sentinel to answer.
                log.debug("the Sentinels of the features Redis do not answer (%s)", in_words(error))
                continue
            if at != self._master:
                connection.abort(f"the master is now {at.host}:{at.port}")
                return

    async def master(self) -> Place:
        """Where it is now.

        Raises:
            Unavailable: no Sentinel answers, or none knows the service.
        """
        reply = await self._told(b"GET-MASTER-ADDR-BY-NAME", self._store.service.encode())
        match reply:
            case [bytes(host), bytes(port)] if port.isdigit():
                return Place(host.decode(), int(port))
        raise Unavailable(f"the Sentinels know no service {self._store.service!r}")

    async def _told(self, *question: bytes) -> object:
        """What the first Sentinel says that knows anything.

        Raises:
            Unavailable: none of them does.
        """
        why: list[str] = []
        for sentinel in tuple(self._known):
            try:
                async with asyncio.timeout(self._options.answer_s):
                    reply = await _asked(sentinel, question)
            except TimeoutError:
                why.append(f"{place(sentinel)} did not answer within {self._options.answer_s:g} s")
            except (OSError, ServingError) as error:
                why.append(f"{place(sentinel)}: {in_words(error)}")
            else:
                if reply is not None:
                    self._known.remove(sentinel)
                    self._known.insert(0, sentinel)
                    return reply
                why.append(f"{place(sentinel)} knows no service {self._store.service!r}")
        raise Unavailable(f"no Sentinel tells where it is ({'; '.join(why)})")


def _well(told: object) -> Place | None:
    """Where a replica is; None where it is down, or has lost its master."""
    words = told if isinstance(told, list) else []
    facts = dict(zip(words[::2], words[1::2], strict=False))
    host, port, flags = facts.get(b"ip"), facts.get(b"port"), facts.get(b"flags")
    if not (isinstance(host, bytes) and isinstance(port, bytes) and port.isdigit() and flags == b"slave"):
        return None
    return Place(host.decode(), int(port))


async def _asked(sentinel: RedisAddress, question: Sequence[bytes]) -> object:
    connection = await connect(sentinel)
    try:
        return await connection.ask(b"SENTINEL", *question)
    finally:
        connection.abort("it was asked")


async def _must_be_master(connection: RedisConnection, at: Place) -> None:
    try:
        reply = await connection.ask(b"ROLE")
    except Unavailable:
        if connection.ended.done():
            raise
        # The user may not ask.
        return
    if isinstance(reply, list) and reply[:1] == [b"slave"]:
        raise Unavailable(f"{at.host}:{at.port} is not the master yet")
