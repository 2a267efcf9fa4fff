"""One server that keeps features, as a reader sees it: how to get a connection, and what it is called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from serving.features.store.redis_address import RedisAddress
from serving.features.store.redis_connection import Reply, connect


class Connection(Protocol):
    """What a reader needs of a connection to a node; `ended` has the reason once it is over."""

    ended: asyncio.Future[str]

    def send(self, command: bytes, reply: Reply) -> None:
        """Write one packed command; `reply` is called with its answer."""

    def send_all(self, commands: bytes, count: int, reply: Reply) -> None:
        """Write several packed commands at once; `reply` is called for each."""

    def abort(self, why: str) -> None:
        """End it now."""


@dataclass(frozen=True, slots=True, eq=False)
class RedisNode:
    """`open` gives a connection that answers, and may find out anew where the server is each time.

    `follow` lasts as long as a connection and ends it once the server is to be found elsewhere. `clustered` keys are
    asked for one by one, since each may have moved.
    """

    name: str
    open: Callable[[], Awaitable[Connection]]
    follow: Callable[[Connection], Awaitable[None]] | None = None
    clustered: bool = False


Connect = Callable[[RedisAddress], Awaitable[Connection]]


def node_at(address: RedisAddress, connected: Connect = connect) -> RedisNode:
    """The server that is always there."""
    return RedisNode(place(address), partial(connected, address))


def place(address: RedisAddress) -> str:
    """What logs and metrics call it."""
    return address.path or f"{address.host}:{address.port}"
