"""The near cache before several servers: each tells of its own rows, and they come, go and change places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from serving.features.cache.lifetime import Lifetime
from serving.features.feast.entity_key import prefix
from serving.features.feast.hash_row import hash_rows
from serving.features.keys import row_key
from serving.features.store.reading import Found
from serving.features.store.slot_map import slot_of
from serving.features.store.store_address import parse_store
from serving.features.store.topology import feature_reader
from serving.processes.near_cache import NearCacheOfWorker, Stored
from tests.integration.features.test_cluster import _begin_to_move, _end_to_move
from tests.integration.features.test_near_cache import PATIENT_S, PLANE, QUICK, Observer, Worker
from tests.integration.features.test_node_reader import _told
from tests.integration.features.test_sentinel import Watched
from tests.integration.redis_process import RedisCluster, RedisProcess, kinds, until
from tests.integration.valkey_server import Server
from tests.unit.features.feast.recorded import recorded, view_of

pytestmark = pytest.mark.integration

KEYS = [PLANE + b"%d" % number for number in range(30)]


@pytest.fixture(params=kinds())
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisCluster]:
    servers = RedisCluster(request.param, tmp_path)
    try:
        servers.start()
        yield servers
    finally:
        servers.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    servers = Watched("valkey", tmp_path)
    try:
        servers.start()
        yield servers
    finally:
        servers.master.go_on()
        servers.close()


@asynccontextmanager
async def started(url: str) -> AsyncIterator[Worker]:
    worker = Worker(url, several=True)
    await worker.start()
    try:
        await worker.hears(True)
        yield worker
    finally:
        await worker.stop()


def home(cluster: RedisCluster, key: bytes) -> RedisProcess:
    return cluster.masters[min(slot_of(key) // (16_384 // 3), 2)]


async def wait_until_heard(worker: Worker, row: bytes) -> None:
    """All servers are heard again, and what is read now is known from then on."""
    async with asyncio.timeout(PATIENT_S):
        while not worker.reader.heard or await worker.get(KEYS[0]) != {KEYS[0]: row}:  # noqa: ASYNC110 - nobody tells when that is
            await asyncio.sleep(0.01)


async def test_each_node_of_a_cluster_tells_of_its_rows(cluster: RedisCluster) -> None:
    async with started(cluster.url) as worker:
        for round_number in range(3):
            for key in KEYS:
                home(cluster, key).ask("SET", key, round_number)
                await worker.hears([key])
            row = b"%d" % round_number
            assert await worker.get(*KEYS) == dict.fromkeys(KEYS, row)
        misses = worker.reader.counts.misses
        await worker.get(*KEYS)
        assert worker.reader.counts.misses == misses, "all are known"
        assert {home(cluster, key).port for key in KEYS} == {node.port for node in cluster.masters}


async def test_without_one_node_the_rows_of_the_others_are_kept_and_trusted(cluster: RedisCluster) -> None:
    for key in KEYS:
        home(cluster, key).ask("SET", key, 1)
    async with started(cluster.url) as worker:
        await worker.get(*KEYS)
        lost, left = cluster.masters[0], [key for key in KEYS if home(cluster, key) is not cluster.masters[0]]
        worker.words.clear()
        lost.kill()
        await worker.hears(True)
        assert await worker.get(*left) == dict.fromkeys(left, b"1")
        misses = worker.reader.counts.misses
        assert await worker.get(*left) == dict.fromkeys(left, b"1")
        assert worker.reader.counts.misses == misses
        home(cluster, left[0]).ask("SET", left[0], 2)
        await worker.hears([left[0]])
        assert await worker.get(left[0]) == {left[0]: b"2"}


async def test_a_row_that_moves_to_another_node_is_told_of_from_there(cluster: RedisCluster) -> None:
    key = KEYS[0]
    there = home(cluster, key)
    other = next(node for node in cluster.masters if node is not there)
    there.ask("SET", key, 1)
    async with started(cluster.url) as worker:
        assert await worker.get(key) == {key: b"1"}
        await asyncio.to_thread(_begin_to_move, cluster, key, there, other)
        # The node that it leaves tells of its end there.
        await worker.hears([key])
        assert await worker.get(key) == {key: b"1"}
        await asyncio.to_thread(_end_to_move, cluster, key, other)
        worker.words.clear()
        other.ask("SET", key, 2)
        await worker.hears([key])
        assert await worker.get(key) == {key: b"2"}


async def test_nothing_that_an_old_master_told_is_trusted_under_a_new_one(watched: Watched) -> None:
    watched.master.ask("SET", KEYS[0], "old")
    until(lambda: watched.replica.ask("GET", KEYS[0]) == b"old", "the replica has it")
    async with started(watched.url) as worker:
        assert await worker.get(KEYS[0]) == {KEYS[0]: b"old"}
        watched.master.stop()
        await asyncio.to_thread(until, lambda: watched.replica.ask("ROLE")[0] == b"master", "it takes over")
        watched.replica.ask("SET", KEYS[0], "new")
        await wait_until_heard(worker, b"new")
        worker.words.clear()
        watched.replica.ask("SET", KEYS[0], "newer")
        await worker.hears([KEYS[0]])
        assert await worker.get(KEYS[0]) == {KEYS[0]: b"newer"}


async def test_a_replica_that_is_read_tells_when_it_has_a_row(watched: Watched) -> None:
    url = f"redis://:inside@127.0.0.1:{watched.master.port}?read_from=replica"
    async with started(url) as worker:
        for number in range(20):
            worker.words.clear()
            watched.master.ask("SET", KEYS[0], number)
            # Both tell of it, in either order.
            await worker.hears([KEYS[0]])
            await worker.hears([KEYS[0]])
            assert await worker.get(KEYS[0]) == {KEYS[0]: b"%d" % number}


async def test_a_hash_that_feast_writes_is_told_of_for_each_view_that_is_read_of_it(server: Server) -> None:
    row = next(row for row in recorded() if len(row.entity) == 1)
    assert row.view.feast is not None
    views = [row.view, view_of("other", {join.name: join.type for join in row.view.feast.join_keys})]
    store, reader = parse_store(server.url), feature_reader(server.url, Observer(), QUICK, hash_rows(views))
    lifetimes = {prefix(view.name): Lifetime(3_600.0, 3_600.0, 3_600.0) for view in views}
    near = NearCacheOfWorker(Stored(store, views), reader, 10_000_000, lifetimes)
    await near.start()
    try:
        keys = [row_key(view, list(row.entity.values())) for view in views]
        assert near.reader.heard
        assert await _rows(near, keys) == [None, None]
        server.client().hset(row.name, mapping={**row.hash})
        async with asyncio.timeout(PATIENT_S):
            while near.reader.counts.invalidations < 2:  # noqa: ASYNC110 - nobody tells when that is
                await asyncio.sleep(0.01)
        first, second = await _rows(near, keys)
        assert first is not None
        assert second is None, "the hash has nothing of that view"
    finally:
        await near.stop()


async def _rows(near: NearCacheOfWorker, keys: list[bytes]) -> list[bytes | None]:
    answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
    near.reader.fetch(keys, answer, _told)
    async with asyncio.timeout(PATIENT_S):
        found = await answer
    assert found is not None
    return [found[key] for key in keys]
