"""Follows who is in which pool; the members known last are kept on disk for a gateway that starts without Redis."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

import redis.asyncio

from serving.errors import ConfigInvalid
from serving.state import keys
from serving.state.connection import connect
from serving.state.follower import Follower
from serving.state.member import SERVING, Member, dump, load
from serving.state.membership import after_listing, missing

log = logging.getLogger(__name__)


class PoolMembers:
    """One pool's members as its client sees them; read and told on the loop's thread."""

    def __init__(self) -> None:
        self.known: Mapping[str, Member] = {}
        self.unreachable: set[str] = set()
        self._callbacks: list[Callable[[], None]] = []

    def current(self) -> tuple[Member, ...]:
        """Members that take batches, by replica id; a draining one answers what it has and gets nothing new."""
        return tuple(member for _, member in sorted(self.known.items()) if member.state == SERVING)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever `current` may answer differently."""
        self._callbacks.append(callback)

    def failed(self, replica: str) -> None:
        """Its connection failed or was refused: it is dropped once a later listing does not have it either."""
        self.unreachable.add(replica)

    def adopt(self, known: Mapping[str, Member]) -> bool:
        """Put these in force; tell whether that changed anything."""
        if known == self.known:
            return False
        self.known = known
        for callback in self._callbacks:
            callback()
        return True


class Members:
    """Owns the following of all pools a gateway uses, on one subscription and one read a second.

    `kept` is the file of the last known members; None keeps nothing.
    """

    def __init__(self, url: str, pools: Iterable[str], kept: Path | None) -> None:
        self._client: redis.asyncio.Redis = connect(url)
        self._pools = {pool: PoolMembers() for pool in pools}
        self._kept = kept
        self._follower = Follower(self._client, keys.members("*"), self._look)

    def pool(self, name: str) -> PoolMembers:
        """What the client of this pool follows; a pool that was not followed yet is from the next look on."""
        return self._pools.setdefault(name, PoolMembers())

    def start(self) -> None:
        """Begin with the members of an earlier process, then follow."""
        self._restore()
        self._follower.start()

    async def stop(self) -> None:
        """End the following and the connections; the members known stay known."""
        await self._follower.stop()
        await self._client.aclose()

    async def _look(self) -> None:
        pools = dict(self._pools)
        # A connection that fails while the listing is on its way proves nothing against that listing.
        failed = {name: frozenset(pool.unreachable) for name, pool in pools.items()}
        listings = await self._listings(pools)
        gone = await self._gone(pools, listings)
        changed = False
        for name, pool in pools.items():
            pool.unreachable -= failed[name]
            changed |= pool.adopt(after_listing(pool.known, listings[name], gone[name], failed[name]))
        if changed:
            self._keep()

    async def _listings(self, pools: Iterable[str]) -> dict[str, dict[str, Member]]:
        async with self._client.pipeline(transaction=False) as steps:
            for name in pools:
                steps.hgetall(keys.members(name))
            answers = await steps.execute()
        return {name: _readable(name, records) for name, records in zip(pools, answers, strict=True)}

    async def _gone(
        self, pools: Mapping[str, PoolMembers], listings: Mapping[str, Mapping[str, Member]]
    ) -> dict[str, set[str]]:
        asked = [(name, replica) for name, pool in pools.items() for replica in missing(pool.known, listings[name])]
        gone: dict[str, set[str]] = {name: set() for name in pools}
        if not asked:
            return gone
        found = await self._client.mget([keys.tombstone(name, replica) for name, replica in asked])
        for (name, replica), stone in zip(asked, found, strict=True):
            if stone is not None:
                gone[name].add(replica)
        return gone

    def _restore(self) -> None:
        if self._kept is None:
            return
        try:
            document = json.loads(self._kept.read_bytes())
            for name, records in document["pools"].items():
                members = [load(record) for record in records]
                self.pool(name).adopt({member.replica: member for member in members})
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigInvalid) as error:
            log.warning("the pool members kept in %s cannot be used: %s", self._kept, error)

    def _keep(self) -> None:
        if self._kept is None:
            return
        pools = {name: [dump(member) for member in pool.known.values()] for name, pool in self._pools.items()}
        fresh = self._kept.with_suffix(f".{os.getpid()}.new")
        try:
            fresh.write_text(json.dumps({"format": 1, "pools": pools}))
            fresh.replace(self._kept)
        except OSError as error:
            log.warning("the pool members could not be kept in %s: %s", self._kept, error)


def _readable(pool: str, records: object) -> dict[str, Member]:
    members = {}
    for field, record in cast("dict[bytes, bytes]", records).items():
        try:
            members[field.decode()] = load(record)
        except ConfigInvalid as error:
            # A newer release may share the server; its replicas are not ours to judge.
            log.warning("a record of pool %r was ignored: %s", pool, error)
    return members
