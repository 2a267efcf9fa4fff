"""A bounded look into the features Redis: some rows of a view, and what the server says of itself."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from serving.errors import FeaturesAway
from serving.features.feast.entity_key import EntityKeys
from serving.features.feast.hash_row import NO_HASH, HashRow
from serving.features.feature_view import FeatureView
from serving.features.keys import prefix
from serving.features.store.blocking_client import client_of
from serving.features.store.store_address import parse_store
from serving.features.store.tls_failure import in_words

# What one SCAN looks at: a server takes about half a millisecond for so many.
_KEYS_A_SCAN = 1_000
# A view with few rows among very many other keys is given up on after a million of them.
_MOST_SCANS = 1_000
_ROWS_A_READ = 500
_MEASURED = 200
_SPECIAL = re.compile(rb"([*?\[\]\\])")

Fields = Sequence[bytes | None]


@dataclass(frozen=True, slots=True)
class Sample:
    """Keys of a view with their rows. `estimated_rows` is what is stored of it, exactly if `complete`.

    `key_bytes` is what the server takes for a key with its row, by its own account; `frequencies` are its counters of
    how often keys are used, by key. Both None where it does not tell.

    `fields` are those of Feast's hashes of which the rows were made; a hash, and what it takes, belongs to all views
    of its join keys.
    """

    rows: Mapping[bytes, bytes]
    complete: bool
    estimated_rows: int
    key_bytes: float | None = None
    frequencies: Mapping[bytes, int] | None = None
    fields: Sequence[Fields] = ()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """None where the server does not say; the clock is so much ahead of ours."""

    clock_ahead_s: float | None = None
    used_bytes: int | None = None
    limit_bytes: int | None = None
    policy: str | None = None


class Sampler:
    """One connection; the methods raise `FeaturesAway`."""

    def __init__(self, url: str) -> None:
        store = parse_store(url)
        self._clustered = store.kind == "cluster"
        try:
            self._client = client_of(store)
        except (RedisError, RedisClusterException, OSError) as error:
            raise _away(error) from error

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def facts(self) -> dict[str, ServerFacts]:
        """Clock, memory and what happens when that is full: of each master of a cluster by its name, else of ""."""
        if not self._clustered:
            return {"": self._facts_of(self._client)}
        cluster = cast("RedisCluster", self._client)
        nodes = cluster.get_primaries()  # type: ignore[no-untyped-call]
        return {
            node.name: self._facts_of(cluster.get_redis_connection(node))
            for node in sorted(nodes, key=lambda node: str(node.name))
        }

    def _facts_of(self, client: redis.Redis) -> ServerFacts:
        ahead = self._told(lambda: _clock_ahead_s(client))
        memory = cast("dict[str, Any]", self._told(lambda: client.info("memory")) or {})
        return ServerFacts(
            ahead, memory.get("used_memory"), memory.get("maxmemory") or None, memory.get("maxmemory_policy")
        )

    def sample(self, view: FeatureView, most: int) -> Sample:
        """Up to so many rows of a view, from wherever the server begins to look."""
        try:
            return self._sample(view, most)
        except (RedisError, RedisClusterException, OSError) as error:
            raise _away(error) from error

    def _sample(self, view: FeatureView, most: int) -> Sample:
        keys: dict[bytes, None] = {}
        looked_at, complete = 0, True
        for lot, seen in self._scanned(_pattern(view)):
            looked_at += seen
            keys.update(dict.fromkeys(lot))
            if len(keys) >= most or looked_at >= _MOST_SCANS * _KEYS_A_SCAN:
                complete = False
                break
        total = len(keys)
        if not complete:
            total = round(len(keys) / max(looked_at, 1) * self._keys())
        chosen = list(keys)[:most]
        if view.feast is not None:
            return self._of_feast(view, HashRow(view, view.feast), chosen, complete=complete, total=total)
        rows = self._rows(chosen)
        return Sample(rows, complete, max(total, len(rows)), self._key_bytes(chosen), self._frequencies(chosen))

    def _of_feast(
        self, view: FeatureView, hash_row: HashRow, names: Sequence[bytes], *, complete: bool, total: int
    ) -> Sample:
        """Of those hashes that have the view; the others are of entities that only other views know."""
        start = prefix(view)
        rows: dict[bytes, bytes] = {}
        fields: list[Fields] = []
        for name, values in self._hashes(names, hash_row.fields):
            row = NO_HASH if values is None else hash_row.row(values)
            if row is not None:
                rows[start + name] = row
            if row and values is not None:
                fields.append(values)
        found = [key[len(start) :] for key in rows]
        frequencies = self._frequencies(found)
        by_key = None if frequencies is None else {start + name: count for name, count in frequencies.items()}
        estimated = round(total * len(rows) / len(names)) if names else 0
        return Sample(rows, complete, max(estimated, len(rows)), self._key_bytes(found), by_key, fields)

    def _hashes(self, names: Sequence[bytes], fields: Sequence[bytes]) -> Iterator[tuple[bytes, Fields | None]]:
        """Fields of each hash; None for what is none."""
        for at in range(0, len(names), _ROWS_A_READ):
            some = names[at : at + _ROWS_A_READ]
            pipeline = self._client.pipeline(transaction=False)
            for name in some:
                pipeline.hmget(cast("str", name), list(fields))
            for name, values in zip(some, pipeline.execute(raise_on_error=False), strict=True):
                yield name, values if isinstance(values, list) else None

    def _scanned(self, match: bytes) -> Iterator[tuple[Sequence[bytes], int]]:
        """Keys with this pattern, and how many keys were looked at for them."""
        if self._clustered:
            yield from self._scanned_by_node(cast("RedisCluster", self._client), match)
            return
        cursor = 0
        while True:
            cursor, keys = cast("tuple[int, list[bytes]]", self._client.scan(cursor, match, _KEYS_A_SCAN))
            yield keys, _KEYS_A_SCAN
            if cursor == 0:
                return

    def _scanned_by_node(self, cluster: RedisCluster, match: bytes) -> Iterator[tuple[Sequence[bytes], int]]:
        # Slots are hashes of keys: one node after the other is as good a sample as all of them in turn.
        for node in cluster.get_primaries():  # type: ignore[no-untyped-call]
            cursor = 0
            most = min(_KEYS_A_SCAN, cluster.dbsize(target_nodes=node))
            while True:
                told = cast("Any", cluster.scan(cursor, match, _KEYS_A_SCAN, target_nodes=node))
                yield told[1], most
                cursor = told[0][node.name]
                if cursor == 0:
                    break

    def _keys(self) -> int:
        """Of all views and of whatever else is stored."""
        if not self._clustered:
            return int(self._client.dbsize())
        # Asked for all of it at once, redis-py answers what one node has.
        cluster = cast("RedisCluster", self._client)
        nodes = cluster.get_primaries()  # type: ignore[no-untyped-call]
        return sum(cluster.dbsize(target_nodes=node) for node in nodes)

    def _rows(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        rows = {}
        for at in range(0, len(keys), _ROWS_A_READ):
            pipeline = self._client.pipeline(transaction=False)
            for key in keys[at : at + _ROWS_A_READ]:
                pipeline.get(key)
            # A key of ours that is no text is no row: an answer of its own, not the end of the others.
            found = pipeline.execute(raise_on_error=False)
            for key, row in zip(keys[at:], found, strict=False):
                if row is not None:
                    rows[key] = row if isinstance(row, bytes) else b""
        return rows

    def _key_bytes(self, keys: Sequence[bytes]) -> float | None:
        sizes = [self._told(lambda key=key: self._client.memory_usage(key)) for key in keys[:_MEASURED]]
        known = [size for size in sizes if size]
        return sum(known) / len(known) if known else None

    def _frequencies(self, keys: Sequence[bytes]) -> dict[bytes, int] | None:
        """By the server's own counters, which it only has where it evicts by them (LFU)."""
        found: dict[bytes, int] = {}
        for at in range(0, len(keys), _ROWS_A_READ):
            some = keys[at : at + _ROWS_A_READ]
            pipeline = self._client.pipeline(transaction=False)
            for key in some:
                pipeline.execute_command("OBJECT", "FREQ", key)  # type: ignore[no-untyped-call]
            counts = zip(some, pipeline.execute(raise_on_error=False), strict=True)
            found |= {key: count for key, count in counts if isinstance(count, int)}
            if not found:
                return None
        return found or None

    def _told(self, ask: Any) -> Any:  # noqa: ANN401 - whatever the command answers
        """None where the server does not let us ask."""
        with suppress(ResponseError):
            try:
                return ask()
            except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
                raise _away(error) from error
        return None


def _clock_ahead_s(client: redis.Redis) -> float:
    began = time.time()
    seconds, microseconds = client.time()
    return seconds + microseconds / 1e6 - (began + time.time()) / 2


def _pattern(view: FeatureView) -> bytes:
    if view.feast is None:
        return _literal(prefix(view)) + b"*"
    start, end = EntityKeys(view.name, view.entity, view.feast).around
    return _literal(start) + b"*" + _literal(end)


def _literal(data: bytes) -> bytes:
    return _SPECIAL.sub(rb"\\\1", data)


def _away(error: Exception) -> FeaturesAway:
    return FeaturesAway(f"the features Redis does not answer: {in_words(error)}")
