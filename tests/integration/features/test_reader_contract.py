"""What every reader of feature rows does, in both layouts: redis-py's, the hot one, and that one behind a near cache;
of a node, of a cluster, behind Sentinels, and of a pair of nodes.

What becomes of them when servers are lost is in test_cluster, test_sentinel and test_node_reader.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from math import inf, nan
from typing import NamedTuple, Protocol, cast

import pytest
import redis

from serving.features.cache.cached_reader import CachedReader
from serving.features.cache.lifetime import Lifetime
from serving.features.feast.hash_row import hash_rows
from serving.features.feature_status import NULL, PRESENT
from serving.features.feature_view import FeatureView, feature
from serving.features.filling import ViewRead
from serving.features.keys import EntityValue, prefix, row_key
from serving.features.model_inputs import UsedView
from serving.features.packed import RowLayout, Value
from serving.features.store.blocking_client import client_of
from serving.features.store.feature_reader import FeatureReader
from serving.features.store.node_reader import NodeReader, ReaderOptions
from serving.features.store.pair_reader import PairReader
from serving.features.store.reading import Found
from serving.features.store.redis_node import node_at
from serving.features.store.redis_store import EntityRow, RedisStore, StoredRow
from serving.features.store.store_address import parse_store
from serving.features.store.topology import feature_reader
from serving.inference import VersionKey
from tests.integration.features.test_sentinel import Watched
from tests.integration.redis_process import RedisCluster
from tests.integration.valkey_server import Server
from tests.unit.features.feast.recorded import DTYPES, recorded, view_of

pytestmark = pytest.mark.integration

PATIENT_S = 20.0
NOW_S = 1_700_000_000.0
FEATURES = (feature("f32"), feature("f64", "float64"), feature("i32", "int32"), feature("i64", "int64"))
PACKED = FeatureView("packed", ("id",), (*FEATURES, feature("yes", "bool")), max_age_s=60.0)
FEAST = view_of("driver_stats", {"driver_id": "int64"})
IDS: list[EntityValue] = ["N1", "Zürich", "日本", "a:b", "", " ", 0, -7, (1 << 63) - 1, -(1 << 63), "x" * 512]


class Told(NamedTuple):
    """What became of one entity's row; values and time where there is one that can be used."""

    status: str
    values: tuple[Value, ...] = ()
    event_time_ms: int = 0


class Reader(Protocol):
    """One way to read the rows of a view."""

    async def rows(self, view: FeatureView, ids: Sequence[EntityValue], now_s: float) -> list[Told]:
        """In the order of the ids."""


class _Unobserved:
    def feature_values(self, key: VersionKey, variant: str, feature: tuple[str, str], counts: dict[str, int]) -> None:
        raise AssertionError("a reader knows no features")

    def feature_read_failed(self, reason: str) -> None:
        raise AssertionError(f"the server is there, and yet: {reason}")


@dataclass(frozen=True)
class Store:
    """Where rows are written and read; of `replicas` there are so many that have to follow."""

    url: str
    replicas: int = 0

    def client(self) -> redis.Redis:
        return client_of(parse_store(self.url))

    def empty(self) -> None:
        with closing(self.client()) as client:
            client.flushall()

    def settle(self) -> None:
        """Wait until replicas have what was written: they take everything in its order."""
        if self.replicas:
            with closing(self.client()) as client:
                client.set("settled", b"")
                assert client.wait(self.replicas, 5_000) == self.replicas


class ByRedisPy:
    """As commands and the control app read."""

    def __init__(self, store: Store) -> None:
        self._url = store.url

    async def rows(self, view: FeatureView, ids: Sequence[EntityValue], now_s: float) -> list[Told]:
        with RedisStore(self._url) as store:
            return [_shown(store.get(view, [one], now_s)) for one in ids]


MakeReader = Callable[[str, ReaderOptions, Sequence[FeatureView]], FeatureReader]


def hot(url: str, options: ReaderOptions, views: Sequence[FeatureView]) -> FeatureReader:
    """As gateways have it."""
    return feature_reader(url, _Unobserved(), options, hash_rows(views))


def of_a_replica(url: str, options: ReaderOptions, views: Sequence[FeatureView]) -> FeatureReader:
    """Both nodes answer, and the replica is asked."""
    return hot(f"{url}?read_from=replica", options, views)


def of_both(url: str, options: ReaderOptions, views: Sequence[FeatureView]) -> FeatureReader:
    """The replica is asked as soon as the master was, and who answers first counts."""
    pair = cast("PairReader", hot(url, replace(options, hedge_share=1.0), views))
    pair._late_after_s = 0.0
    return pair


def of_the_second(url: str, options: ReaderOptions, views: Sequence[FeatureView]) -> FeatureReader:
    """The first of the pair is away."""
    here = parse_store(url).node
    make = partial(NodeReader, observer=_Unobserved(), options=options, hashes=hash_rows(views))
    return PairReader(make(node_at(replace(here, port=1))), make(node_at(here)), options)


class Hot:
    """As gateways read; `kept` has every row read once before, so that a near cache answers."""

    def __init__(self, store: Store, make: MakeReader = hot, *, kept: bool = False) -> None:
        self._store = store
        self._make = make
        self._kept = kept

    async def rows(self, view: FeatureView, ids: Sequence[EntityValue], now_s: float) -> list[Told]:
        await asyncio.to_thread(self._store.settle)
        reader = self._make(self._store.url, ReaderOptions(timeout_s=PATIENT_S), [view])
        lifetimes = {prefix(view): Lifetime(3_600.0, 0.0, 3_600.0, heard=False)}
        cached = CachedReader(reader, 10_000_000, lifetimes, time.monotonic)
        if self._kept:
            reader = cached
        await reader.start()
        keys = [row_key(view, [one]) for one in ids]
        try:
            found = await _read(reader, keys)
            if self._kept:
                misses = cached.counts.misses
                found = await _read(reader, keys)
                assert cached.counts.misses == misses, "nothing was read again"
        finally:
            await reader.stop()
        return [_judged(view, found[key], now_s) for key in keys]


near = partial(Hot, kept=True)
# By the store that they read from.
MAKES: dict[str, dict[str, Callable[[Store], Reader]]] = {
    "node": {"redis-py": ByRedisPy, "hot": Hot, "near": near},
    "cluster": {"redis-py": ByRedisPy, "hot": Hot, "near": near},
    "sentinel": {"redis-py": ByRedisPy, "hot": Hot, "near": near},
    "pair": {
        "replica": lambda store: Hot(store, of_a_replica),
        "both": lambda store: Hot(store, of_both),
        "second": lambda store: Hot(store, of_the_second),
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    servers = RedisCluster("valkey", tmp_path_factory.mktemp("c"))
    try:
        servers.start()
        yield servers
    finally:
        servers.close()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    servers = Watched("valkey", tmp_path_factory.mktemp("s"))
    try:
        servers.start()
        yield servers
    finally:
        servers.close()


@pytest.fixture(params=[f"{kind} {how}" for kind, makes in MAKES.items() for how in makes])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(request: pytest.FixtureRequest, way: str) -> Store:
    kind = way.partition(" ")[0]
    if kind == "node":
        return Store(cast("Server", request.getfixturevalue("server")).url)
    if kind == "cluster":
        made = Store(cast("RedisCluster", request.getfixturevalue("cluster")).url)
    else:
        servers = cast("Watched", request.getfixturevalue("watched"))
        single = f"redis://:inside@127.0.0.1:{servers.master.port}"
        made = Store(servers.url if kind == "sentinel" else single, replicas=1)
    made.empty()
    return made


@pytest.fixture
def reader(store: Store, way: str) -> Reader:
    kind, _, how = way.partition(" ")
    return MAKES[kind][how](store)


async def test_packed_values_come_back_to_the_last_bit_for_ids_of_every_kind(store: Store, reader: Reader) -> None:
    limits = (3.4e38, 5e-324, -(1 << 31), (1 << 63) - 1, True)
    rows = [
        EntityRow((one,), (0.1, number / 3, -number, -(1 << 63) + number, number % 2), NOW_S + number)
        for number, one in enumerate(IDS)
    ]
    rows += [EntityRow(("limits",), limits, NOW_S), EntityRow(("infinite",), (-inf, inf, 0, 0, 0), NOW_S)]
    with RedisStore(store.url) as writer:
        writer.put(PACKED, rows)
    layout = RowLayout(PACKED)
    ids = [row.entity[0] for row in rows]
    for told, row in zip(await reader.rows(PACKED, ids, NOW_S), rows, strict=True):
        written = layout.unpack(layout.pack(row.values, row.event_time_s))
        assert written is not None
        assert told == (PRESENT, written.values, written.event_time_ms)


async def test_7_and_its_text_are_one_id_and_007_is_another(store: Store, reader: Reader) -> None:
    with RedisStore(store.url) as writer:
        writer.put(PACKED, [EntityRow((7,), (1, 2, 3, 4, 0), NOW_S)])
    told = await reader.rows(PACKED, ["7", 7, "007"], NOW_S)
    assert [one.status for one in told] == ["present", "present", "not_found"]


async def test_what_is_wrong_with_a_packed_row_is_told(store: Store, reader: Reader) -> None:
    other = replace(PACKED, features=PACKED.features[:-1])
    with RedisStore(store.url) as writer:
        writer.put(PACKED, [EntityRow(("null",), (1, None, 3, nan, 1), NOW_S)])
        writer.put(PACKED, [EntityRow(("old",), (1, 2, 3, 4, 1), NOW_S - 61)])
        writer.put(PACKED, [EntityRow(("future",), (1, 2, 3, 4, 1), NOW_S + 61)])
        writer.put(other, [EntityRow(("other",), (1, 2, 3, 4), NOW_S)])
    with closing(store.client()) as client:
        client.set(row_key(PACKED, ["bytes"]), b"\xff" * 3)
        client.set(row_key(PACKED, ["empty"]), b"")
        client.lpush(row_key(PACKED, ["list"]), b"no text")
    ids = ["null", "old", "future", "other", "bytes", "empty", "list", "unknown"]
    told = await reader.rows(PACKED, ids, NOW_S)
    assert dict(zip(ids, (one.status for one in told), strict=True)) == {
        "null": "present",
        "old": "stale",
        "future": "present",
        "other": "unreadable",
        "bytes": "unreadable",
        "empty": "unreadable",
        "list": "not_found",
        "unknown": "not_found",
    }
    assert told[0].values == (1.0, None, 3, None, True)


async def test_what_feast_wrote_comes_back_as_feast_answers_it(store: Store, reader: Reader) -> None:
    # One field is enough for how a row is read; keys of several have tests of their own.
    rows = [row for row in recorded() if len(row.entity) == 1]
    assert len({row.view.name for row in rows}) > 1
    with closing(store.client()) as client:
        for row in rows:
            client.hset(row.name, mapping={**row.hash})
    for row in rows:
        (told,) = await reader.rows(row.view, list(row.entity.values()), row.event_time_ms / 1000)
        assert told == (PRESENT, tuple(row.values[name] for name in DTYPES), row.event_time_ms)


async def test_what_is_wrong_with_a_row_of_feast_is_told(store: Store, reader: Reader) -> None:
    source = next(row for row in recorded() if row.view.name == FEAST.name)
    stamp = max(source.hash, key=lambda field: field.startswith(b"_ts:"))
    first = hash_rows([FEAST])[prefix(FEAST)].fields[0]
    ids: list[EntityValue] = [1, 2, 3, 4, 5]
    names = [row_key(FEAST, [one])[len(prefix(FEAST)) :] for one in ids]
    with closing(store.client()) as client:
        client.hset(names[0], mapping={**source.hash})
        client.hset(names[1], mapping={**source.hash, stamp: b""})
        client.hset(names[2], mapping={**source.hash, first: b"\x29nonsense and more"})
        client.set(names[3], b"no hash")
    now_s = source.event_time_ms / 1000
    told = await reader.rows(FEAST, ids, now_s)
    assert [one.status for one in told] == ["present", "stale", "present", "unreadable", "not_found"]
    assert told[2].values[0] is None
    assert told[2].values[1:] == told[0].values[1:]
    late = await reader.rows(FEAST, ids[:1], now_s + 86_401)
    assert [one.status for one in late] == ["stale"]


async def _read(reader: FeatureReader, keys: Sequence[bytes]) -> Found:
    answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()

    def told(several: Sequence[asyncio.Future[Found | None]], found: Found | None) -> None:
        for one in several:
            one.set_result(found)

    reader.fetch(keys, answer, told)
    async with asyncio.timeout(PATIENT_S):
        found = await answer
    assert found is not None
    return found


def _shown(stored: StoredRow) -> Told:
    if stored.status != PRESENT or stored.row is None:
        return Told(stored.status)
    return Told(PRESENT, tuple(stored.row.values), stored.row.event_time_ms)


def _judged(view: FeatureView, data: bytes | None, now_s: float) -> Told:
    """As the request path judges it."""
    layout = RowLayout(view)
    read = ViewRead(UsedView(view, view.features), layout)
    now_ms = int(now_s * 1000)
    if data is None or not read.whole(data, now_ms):
        gap, _ = read.mended(data, now_ms, away=False)
        if gap.status != NULL:
            return Told(gap.status)
    row = layout.unpack(data or b"")
    assert row is not None
    return Told(PRESENT, tuple(row.values), row.event_time_ms)
