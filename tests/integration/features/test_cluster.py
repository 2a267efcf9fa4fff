"""Rows in a Redis Cluster, written by commands and read by gateways, while slots move and nodes are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
import redis

from serving.cli.feature_health import node_table
from serving.errors import FeaturesAway
from serving.features.feature_view import FeatureView, feature
from serving.features.health.sample import Sampler
from serving.features.health.telling_bench import timed_telling
from serving.features.keys import row_key
from serving.features.store.cluster_reader import ClusterReader
from serving.features.store.redis_store import EntityRow, RedisStore
from serving.features.store.slot_map import slot_of
from tests.integration.features.test_node_reader import PATIENT_S, Reader
from tests.integration.redis_process import RedisCluster, RedisProcess, kinds, until

pytestmark = pytest.mark.integration

PLANE = FeatureView("plane", ("tailnum",), (feature("seats", "int64"),))
KEYS = [b"k%d" % number for number in range(300)]
FOUND = {key: b"v" + key for key in KEYS}


@pytest.fixture(params=kinds())
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisCluster]:
    servers = RedisCluster(request.param, tmp_path)
    yield from _started(servers)


@pytest.fixture
def replicated(tmp_path: Path) -> Iterator[RedisCluster]:
    yield from _started(RedisCluster("valkey", tmp_path, replicas=True))


def _started(servers: RedisCluster) -> Iterator[RedisCluster]:
    try:
        servers.start()
        servers.put({key.decode(): value for key, value in FOUND.items()})
        yield servers
    finally:
        servers.close()


@pytest.fixture
async def reader(cluster: RedisCluster) -> AsyncIterator[Reader]:
    # One of them is enough to find the others.
    reading = Reader(cluster.url.partition(",")[0], timeout_s=1.0)
    await reading.reader.start()
    yield reading
    await reading.reader.stop()


async def test_rows_of_all_nodes_come_back_and_none_for_what_is_not_there(reader: Reader) -> None:
    assert await reader.get(*KEYS, b"x") == {**FOUND, b"x": None}
    assert await reader.get() == {}
    assert reader.observer.failures == {}


async def test_requests_that_need_other_nodes_each_get_their_own_rows(reader: Reader) -> None:
    asked = [KEYS[number : number + 1 + number % 4] for number in range(296)]
    founds = await asyncio.gather(*(reader.get(*keys) for keys in asked))
    for keys, found in zip(asked, founds, strict=True):
        assert found is not None
        assert [found[key] for key in keys] == [FOUND[key] for key in keys]


async def test_a_large_request_is_read_in_pieces(reader: Reader) -> None:
    keys = [b"%d" % number for number in range(20_000)]
    before = [asyncio.ensure_future(reader.get(*keys, *KEYS)), asyncio.ensure_future(reader.get(*KEYS[:3]))]
    large, small = await asyncio.gather(*before)
    assert large == {**dict.fromkeys(keys), **FOUND}
    assert small is not None
    assert len(small) == 3
    assert reader.reader.has_room(reader.reader.most_keys)


async def test_a_lost_node_costs_its_own_keys_and_comes_back(reader: Reader, cluster: RedisCluster) -> None:
    lost = [key for key in KEYS if slot_of(key) < 16_384 // 3]
    kept = {key: FOUND[key] for key in KEYS if key not in lost}
    cluster.masters[0].kill()
    await reader.goes_away(lost[0])
    assert await reader.get(*KEYS) == kept
    assert await reader.get(*list(kept)[:5]) == {key: kept[key] for key in list(kept)[:5]}
    assert await reader.get(*lost[:5]) is None


async def test_a_node_that_stands_still_holds_up_only_those_who_need_it(cluster: RedisCluster) -> None:
    reading = Reader(cluster.url, timeout_s=PATIENT_S, silence_s=PATIENT_S)
    await reading.reader.start()
    cluster.masters[0].stop()
    try:
        stuck = asyncio.ensure_future(reading.get(*KEYS))
        other = [key for key in KEYS if slot_of(key) >= 16_384 // 3][:5]
        assert await reading.get(*other) == {key: FOUND[key] for key in other}
        assert not stuck.done()
        cluster.masters[0].go_on()
        assert await stuck == FOUND
    finally:
        cluster.masters[0].go_on()
        await reading.reader.stop()


async def test_keys_that_move_are_asked_for_where_they_went(reader: Reader, cluster: RedisCluster) -> None:
    key = KEYS[0]
    there = next(node for node in cluster.masters if _has(node, key))
    other = next(node for node in cluster.masters if node is not there)
    await asyncio.to_thread(_begin_to_move, cluster, key, there, other)
    assert await reader.get(*KEYS) == FOUND, "the slot is on its way, and the key has gone already"
    moving = cast("ClusterReader", reader.reader)
    assert moving.redirects >= 1
    await asyncio.to_thread(_end_to_move, cluster, key, other)
    assert await reader.get(*KEYS) == FOUND
    before = moving.redirects
    assert await reader.get(*KEYS) == FOUND
    assert moving.redirects == before, "where it is now was learned"
    assert reader.observer.failures == {}


async def test_a_replica_takes_over_and_is_found(replicated: RedisCluster) -> None:
    reading = Reader(replicated.url)
    await reading.reader.start()
    replicated.masters[0].kill()
    try:
        lost = next(key for key in KEYS if slot_of(key) < 16_384 // 3)
        await reading.goes_away(lost)
        await reading.comes_back(lost)
        assert await reading.get(*KEYS) == FOUND
    finally:
        await reading.reader.stop()


async def test_commands_write_what_gateways_read(reader: Reader, cluster: RedisCluster) -> None:
    await asyncio.to_thread(_written, cluster.url)
    keys = [row_key(PLANE, [f"N{number}"]) for number in range(1_234)]
    found = await reader.get(*keys)
    assert found is not None
    assert [len(found[key] or b"") > 8 for key in keys] == [True] * 1_234


def test_a_sample_tells_how_many_rows_a_view_has_among_other_keys(cluster: RedisCluster) -> None:
    _written(cluster.url)
    cluster.put({f"other{number}": b"" for number in range(8_466)})
    with closing(Sampler(cluster.url)) as sampler:
        some, all_of_it = sampler.sample(PLANE, 100), sampler.sample(PLANE, 10_000)
    assert (some.complete, len(some.rows)) == (False, 100)
    assert 800 < some.estimated_rows < 1_700, "and not all 10,000 keys, nor those of one node"
    assert (all_of_it.complete, all_of_it.estimated_rows, len(all_of_it.rows)) == (True, 1_234, 1_234)


def test_clock_and_memory_of_each_node_are_told(cluster: RedisCluster) -> None:
    full = cluster.masters[1]
    full.ask("CONFIG", "SET", "maxmemory", "1gb")
    with closing(Sampler(cluster.url)) as sampler:
        facts = sampler.facts()
    assert set(facts) == {f"127.0.0.1:{node.port}" for node in cluster.masters}
    assert all(one.used_bytes and abs(one.clock_ahead_s or 1.0) < 1.0 for one in facts.values())
    limits = {node: one.limit_bytes for node, one in facts.items() if one.limit_bytes}
    assert limits == {f"127.0.0.1:{full.port}": 1 << 30}
    shown = node_table(facts)
    assert shown is not None
    assert shown.row_count == 3


def test_a_value_of_a_row_is_changed_on_the_node_that_has_it(cluster: RedisCluster) -> None:
    with RedisStore(cluster.url) as store:
        for number in range(30):
            assert store.change(PLANE, (f"N{number}",), {"seats": number}, 1_700_000_000.0).status == "not_found"
            assert store.change(PLANE, (f"N{number}",), {}, 1_700_000_001.0).status == "present"
            row = store.get(PLANE, [f"N{number}"], 1_700_000_001.0).row
            assert row is not None
            assert (row.values, row.event_time_ms) == ((number,), 1_700_000_001_000)


def test_what_all_nodes_gave_up_for_want_of_memory_is_counted(cluster: RedisCluster) -> None:
    with RedisStore(cluster.url) as store:
        assert store.evicted() == 0
        full = cluster.masters[:2]
        for node in full:
            node.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            node.ask("CONFIG", "SET", "maxmemory", "1")
        until(lambda: not any(node.ask("DBSIZE") for node in full), "they give up all their rows")
        assert store.evicted() == sum(slot_of(key) < 16_384 * 2 // 3 for key in KEYS) > 0


def test_how_soon_a_write_is_told_is_timed_where_its_slot_is(cluster: RedisCluster) -> None:
    telling = timed_telling(cluster.url, 0.5)
    assert telling.why_not == ""
    assert telling.writes > 1
    assert 0 < telling.p50_ms <= telling.p99_ms


def test_a_cluster_that_is_away_is_told(tmp_path: Path) -> None:
    del tmp_path
    with RedisStore("redis+cluster://127.0.0.1:1,127.0.0.1:2") as store, pytest.raises(FeaturesAway):
        store.check()


async def test_a_single_server_is_no_cluster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    single = RedisCluster("valkey", tmp_path, 1).nodes[0]
    single._extra = ()
    single.start()
    reading = Reader(f"redis+cluster://127.0.0.1:{single.port}")
    try:
        await reading.reader.start()
        assert await reading.get(b"a") is None
        assert "cluster support disabled" in caplog.text
    finally:
        await reading.reader.stop()
        single.close()


async def test_a_node_of_a_cluster_that_is_named_as_a_single_server_says_what_to_write(
    cluster: RedisCluster, caplog: pytest.LogCaptureFixture
) -> None:
    reading = Reader(f"redis://127.0.0.1:{cluster.nodes[0].port}")
    await reading.reader.start()
    try:
        assert await reading.get(*KEYS) is None
        assert "write redis+cluster:// instead of redis://" in caplog.text
    finally:
        await reading.reader.stop()


def _written(url: str) -> None:
    with RedisStore(url) as store:
        store.check()
        assert store.put(PLANE, [EntityRow((f"N{number}",), (number,), 0.0) for number in range(1_234)]) == 1_234
        row = store.get(PLANE, ("N7",), 0.0).row
        assert row is not None
        assert tuple(row.values) == (7,)


def _has(node: RedisProcess, key: bytes) -> bool:
    try:
        return node.client().get(key) is not None
    except redis.ResponseError:
        return False


def _begin_to_move(cluster: RedisCluster, key: bytes, there: RedisProcess, other: RedisProcess) -> None:
    ids = {node: node.ask("CLUSTER", "MYID").decode() for node in cluster.nodes}
    slot = slot_of(key)
    other.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[there])
    there.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[other])
    there.ask("MIGRATE", "127.0.0.1", other.port, key, 0, 5000)


def _end_to_move(cluster: RedisCluster, key: bytes, to: RedisProcess) -> None:
    name = to.ask("CLUSTER", "MYID").decode()
    for node in (to, *(one for one in cluster.nodes if one is not to)):
        node.ask("CLUSTER", "SETSLOT", slot_of(key), "NODE", name)


@pytest.mark.parametrize("option", ["?read_from=replica", ""])
async def test_replicas_answer_where_they_are_asked_for_and_while_a_master_is_away(
    replicated: RedisCluster, option: str
) -> None:
    reading = Reader(replicated.url + option, hedge_share=0.05, timeout_s=1.0)
    await reading.reader.start()
    try:
        assert await reading.get(*KEYS) == FOUND
        replica = replicated.replicas[0]
        before = _reads(replica)
        lost = [key for key in KEYS if slot_of(key) < 16_384 // 3]
        if not option:
            replicated.masters[0].kill()
            await reading.comes_back(lost[0])
        for _ in range(5):
            assert await reading.get(*lost) == {key: FOUND[key] for key in lost}
        assert _reads(replica) > before
        assert cast("ClusterReader", reading.reader).redirects == 0
    finally:
        await reading.reader.stop()


def _reads(node: RedisProcess) -> int:
    told = node.ask("INFO", "commandstats").decode()
    (line,) = [line for line in told.splitlines() if line.startswith("cmdstat_get:")] or ["cmdstat_get:calls=0,"]
    return int(line.partition("calls=")[2].partition(",")[0])
