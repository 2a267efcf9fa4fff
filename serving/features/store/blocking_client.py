"""redis-py's client for whatever the store is made of, as commands and the control app use it."""

from __future__ import annotations

from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel

from serving.features.store.redis_address import RedisAddress
from serving.features.store.store_address import StoreAddress

OPERATION_S = 5.0


def client_of(store: StoreAddress) -> redis.Redis:
    """A client that asks nobody before its first command, but for that of a cluster, which learns the slots at once.

    Raises:
        RedisError: a cluster does not answer, as redis-py tells it.
        RedisClusterException: the same, in its other way.
    """
    if store.kind == "cluster":
        nodes = [ClusterNode(one.host, one.port) for one in store.known]  # type: ignore[no-untyped-call]
        once = Retry(NoBackoff(), 1)
        client = RedisCluster(
            startup_nodes=nodes, require_full_coverage=False, retry=once, **_options(store.node, database=False)
        )
        # It has the methods that are used here, and no type in common.
        return cast("redis.Redis", client)
    if store.kind == "sentinel":
        sentinels = Sentinel(  # type: ignore[no-untyped-call]
            [(one.host, one.port) for one in store.known],
            # Else a Sentinel that is away is tried for seconds before the next one is asked.
            sentinel_kwargs={**_options(store.known[0]), "retry": Retry(NoBackoff(), 0)},
            retry=Retry(NoBackoff(), 0),
            **_options(store.node),
        )
        return cast("redis.Redis", sentinels.master_for(store.service))  # type: ignore[no-untyped-call]
    where: dict[str, Any] = {"host": store.node.host, "port": store.node.port}
    if store.node.path:
        where = {"unix_socket_path": store.node.path}
    return redis.Redis(retry=Retry(NoBackoff(), 0), **where, **_options(store.node))


def _options(address: RedisAddress, *, database: bool = True) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_timeout": OPERATION_S,
        "socket_connect_timeout": OPERATION_S,
        "username": address.username or None,
        "password": address.password or None,
    }
    if database:
        options["db"] = address.db
    if address.tls is not None:
        options |= {"ssl": True, **address.tls}
    return options
