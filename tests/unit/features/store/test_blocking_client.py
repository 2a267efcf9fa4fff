"""How commands get to a store, without one."""

from __future__ import annotations

from contextlib import closing

from redis.sentinel import SentinelConnectionPool

from serving.features.store.blocking_client import client_of
from serving.features.store.store_address import parse_store


def test_a_sentinel_that_is_away_is_tried_once_before_the_next_one_is_asked() -> None:
    store = parse_store("redis+sentinel://:inside@a:1,b:2/rows/0?sentinel_password=outside")
    with closing(client_of(store)) as client:
        pool = client.connection_pool
        assert isinstance(pool, SentinelConnectionPool)
        for sentinel in pool.sentinel_manager.sentinels:
            assert sentinel.connection_pool.connection_kwargs["retry"].get_retries() == 0
