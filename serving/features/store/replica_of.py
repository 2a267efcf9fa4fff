"""Where a replica of a single master is, as the master tells it."""

from __future__ import annotations

import random

from serving.errors import Unavailable
from serving.features.store.redis_connection import RedisConnection, connect
from serving.features.store.slot_map import Place
from serving.features.store.sources import Sources
from serving.features.store.store_address import StoreAddress


async def open_replica_of(store: StoreAddress, sources: Sources) -> RedisConnection:
    """A connection to any replica of the one node that the address names, as one of the `sources`.

    Raises:
        OSError: nobody listens there.
        Unavailable: the master tells of no replica.
    """
    master = await connect(store.node)
    try:
        places = _replicas(await master.ask(b"ROLE"))
    finally:
        master.abort("it was asked")
    if not places:
        raise Unavailable("the server has no replica to read from")
    return await sources.connect(store.at(*random.choice(places)))  # noqa: S311 - no secret


def _replicas(role: object) -> list[Place]:
    """ROLE of a master: `master`, an offset, and host, port and offset of each replica."""
    match role:
        case [b"master", _, [*replicas]]:
            return [place for place in map(_place, replicas) if place is not None]
    return []


def _place(told: object) -> Place | None:
    match told:
        case [bytes(host), bytes(port), *_] if port.isdigit():
            return Place(host.decode(), int(port))
    return None
