"""The features Redis as commands and the control app use it: whole rows written and read, blocking, with redis-py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import NamedTuple, Self, cast

import redis
from redis.cluster import RedisCluster
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError, ResponseError, WatchError

from serving.errors import BadRequest, FeaturesAway, Unavailable
from serving.features.feast.hash_row import NO_HASH, HashRow
from serving.features.feature_status import NOT_FOUND, PRESENT, STALE, UNREADABLE
from serving.features.feature_view import FeatureView
from serving.features.keys import EntityValue, row_key
from serving.features.packed import Row, RowLayout, Value
from serving.features.store.blocking_client import client_of
from serving.features.store.store_address import parse_store
from serving.features.store.tls_failure import in_words

# One command for so many rows: 12 times as fast as a pipeline of single ones, and short enough for whoever reads.
ROWS_A_COMMAND = 500
# Of many who write one row at once somebody gets through each time.
_TRIES = 100

_FAILURES = (RedisError, RedisClusterException, OSError)
_OF_PIPELINE = " of pipeline caused error: "


class EntityRow(NamedTuple):
    """Values in the orders of the view's entity and features; `event_time_s` counts from 1970."""

    entity: tuple[EntityValue, ...]
    values: Sequence[Value]
    event_time_s: float


@dataclass(frozen=True, slots=True)
class StoredRow:
    """What is stored of one entity: `present`, `stale`, `unreadable` or `not_found`; a row only with the first two."""

    status: str
    row: Row | None = None


class RedisStore:
    """One connection, for one thread; closes with its `with` block.

    Methods raise `FeaturesAway` where the server is away and `Unavailable` where it refuses; the constructor
    `ConfigInvalid` for a URL that is none.
    """

    def __init__(self, url: str) -> None:
        # Judged as the gateways judge it, and before redis-py, which objects later and in many ways.
        self._store = parse_store(url)
        self._store.node.ssl_context()
        self._made: redis.Redis | None = None

    @property
    def _client(self) -> redis.Redis:
        if self._made is None:
            # That of a cluster asks for its slots when it is made.
            self._made = client_of(self._store)
        return self._made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        if self._made is not None:
            with suppress(*_FAILURES):
                self._made.close()

    def check(self) -> None:
        """Raises unless the server answers."""
        try:
            self._client.ping()
        except _FAILURES as error:
            raise _away(error) from error

    def put(self, view: FeatureView, rows: Iterable[EntityRow]) -> int:
        """Replace the rows of these entities; how many were written.

        Raises:
            BadRequest: an entity's value that is no id, or a view whose rows Feast writes.
            ValueError: a value that does not fit its feature; rows before it may be written.
        """
        refuse_to_write(view)
        layout = RowLayout(view)
        pending = iter(rows)
        written = 0
        while some := list(islice(pending, ROWS_A_COMMAND)):
            keys = [row_key(view, row.entity) for row in some]
            self.put_packed(view, keys, [layout.pack(row.values, row.event_time_s) for row in some])
            written += len(some)
        return written

    def put_packed(self, view: FeatureView, keys: Sequence[bytes], rows: Sequence[bytes]) -> None:
        """Replace rows of the view, packed as `RowLayout` does, in their order; all in one round trip."""
        try:
            self._set(keys, rows, _end_words(view))
        except _FAILURES as error:
            raise _away(error) from error

    def _set(self, keys: Sequence[bytes], rows: Sequence[bytes], end_words: Sequence[bytes | int]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        if self._store.kind != "cluster" and not end_words:
            for at in range(0, len(keys), ROWS_A_COMMAND):
                end = at + ROWS_A_COMMAND
                pipeline.mset(dict(zip(keys[at:end], rows[at:end], strict=True)))
        else:
            # Each key may be on another node, which this client sorts out; and MSET knows no expiry.
            for key, row in zip(keys, rows, strict=True):
                pipeline.execute_command("SET", key, row, *end_words)  # type: ignore[no-untyped-call]
        pipeline.execute()

    def evicted(self) -> int:
        """How many keys the server, or all masters of a cluster, gave up for want of memory; 0 where we may not ask."""
        try:
            return sum(int(server.info("stats").get("evicted_keys", 0)) for server in self._servers())
        except ResponseError:
            return 0
        except _FAILURES as error:
            raise _away(error) from error

    def _servers(self) -> Sequence[redis.Redis]:
        if self._store.kind != "cluster":
            return [self._client]
        cluster = cast("RedisCluster", self._client)
        return [cluster.get_redis_connection(node) for node in cluster.get_primaries()]  # type: ignore[no-untyped-call]

    def mark(self, name: bytes) -> bytes | None:
        """What `set_mark` left, if it is still there."""
        try:
            return cast("bytes | None", self._client.get(name))
        except _FAILURES as error:
            raise _away(error) from error

    def set_mark(self, name: bytes, text: bytes | None, keep_s: int) -> None:
        """Leave a word beside the rows for `keep_s`, or take it away."""
        try:
            if text is None:
                self._client.delete(name)
            else:
                self._client.set(name, text, ex=keep_s)
        except _FAILURES as error:
            raise _away(error) from error

    def get(self, view: FeatureView, entity: Sequence[EntityValue], now_s: float) -> StoredRow:
        """What is stored of an entity; `now_s` is the time of day, for rows that have become too old.

        Raises:
            BadRequest: a value that is no id.
        """
        try:
            data = self._stored(view, row_key(view, entity))
        except _FAILURES as error:
            raise _away(error) from error
        return _judged(view, data, now_s)

    def change(
        self, view: FeatureView, entity: tuple[EntityValue, ...], changed: Mapping[str, Value], now_s: float
    ) -> StoredRow:
        """Change some values of a row whose facts hold from `now_s`, or begin one; what was stored before.

        What others write meanwhile is not lost: then it is read and changed again.

        Raises:
            BadRequest: an entity's value that is no id, or a view whose rows Feast writes.
            ValueError: a value that does not fit its feature.
            Unavailable: others wrote the row at each of many tries.
        """
        refuse_to_write(view)
        key = row_key(view, entity)
        try:
            with self._server_of(key).pipeline() as pipeline:
                for _ in range(_TRIES):
                    pipeline.watch(key)  # type: ignore[no-untyped-call]
                    (data,) = cast("list[bytes | None]", pipeline.mget([key]))
                    before = _judged(view, data, now_s)
                    after = _changed(view, before.row, changed)
                    pipeline.multi()
                    packed = RowLayout(view).pack(after, now_s)
                    pipeline.execute_command("SET", key, packed, *_end_words(view))  # type: ignore[no-untyped-call]
                    with suppress(WatchError):
                        pipeline.execute()
                        return before
        except _FAILURES as error:
            raise _away(error) from error
        raise Unavailable(f"others wrote this row of {view.name!r} at each of {_TRIES} tries; try again")

    def _server_of(self, key: bytes) -> redis.Redis:
        """That which has it: transactions are of one server."""
        if self._store.kind != "cluster":
            return self._client
        cluster = cast("RedisCluster", self._client)
        node = cluster.get_node_from_key(key)  # type: ignore[no-untyped-call]
        return cluster.get_redis_connection(node)

    def _stored(self, view: FeatureView, key: bytes) -> bytes | None:
        if view.feast is None:
            return cast("list[bytes | None]", self._client.mget([key]))[0]
        hash_row = HashRow(view, view.feast)
        try:
            values = self._client.hmget(hash_row.name(key), list(hash_row.fields))
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                return NO_HASH
            raise
        return hash_row.row(cast("list[bytes | None]", values))


def refuse_to_write(view: FeatureView) -> None:
    """Nothing where rows of the view are ours to write.

    Raises:
        BadRequest: Feast writes them.
    """
    if view.feast is not None:
        raise BadRequest(
            f"the rows of view {view.name!r} are Feast's (store: feast), which Sluice only reads; "
            f"write them with Feast, as feature view {view.feast.view!r} of project {view.feast.project!r}"
        )


def _judged(view: FeatureView, data: bytes | None, now_s: float) -> StoredRow:
    if data is None:
        return StoredRow(NOT_FOUND)
    row = RowLayout(view).unpack(data)
    if row is None:
        return StoredRow(UNREADABLE)
    age_s = now_s - row.event_time_ms / 1000
    return StoredRow(STALE if view.max_age_s is not None and age_s > view.max_age_s else PRESENT, row)


def _changed(view: FeatureView, row: Row | None, changed: Mapping[str, Value]) -> list[Value]:
    known = (None,) * len(view.features) if row is None else row.values
    return [changed.get(one.name, old) for one, old in zip(view.features, known, strict=True)]


def _end_words(view: FeatureView) -> tuple[bytes | int, ...]:
    """When the server forgets the row, as SET has it."""
    return () if view.expire_after_s is None else (b"PX", int(view.expire_after_s * 1000))


def _away(error: Exception) -> Unavailable:
    # What it says of a wrong password, redis-py counts among failed connections.
    if isinstance(error, ResponseError | AuthenticationError):
        # redis-py says before it which command of a pipeline it was, with the whole row.
        return Unavailable(f"the features Redis refuses: {str(error).rpartition(_OF_PIPELINE)[2]}")
    return FeaturesAway(f"the features Redis does not answer: {in_words(error)}")
