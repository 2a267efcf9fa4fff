"""Rows of Feast and rows of ours in one read, from a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from serving.errors import BadRequest, FeaturesAway
from serving.features.compilation import compile_plan
from serving.features.feast.hash_row import NO_HASH, hash_rows
from serving.features.feature_view import FeatureView, feature
from serving.features.keys import prefix, row_key
from serving.features.model_inputs import ModelInputs
from serving.features.packed import RowLayout
from serving.features.store.node_reader import ReaderOptions
from serving.features.store.reading import MOST_SINGLY_AT_ONCE, Found
from serving.features.store.redis_store import EntityRow, RedisStore
from serving.features.store.topology import feature_reader
from serving.inference import Signature, TensorSpec
from tests.integration.features.slow_proxy import SlowProxy
from tests.integration.valkey_server import Server
from tests.unit.features.feast.recorded import DTYPES, RecordedHash, recorded, view_of

pytestmark = pytest.mark.integration

OURS = FeatureView("plane", ("tailnum",), (feature("seats"),))
STATS = view_of("driver_stats", {"driver_id": "int64"})
PATIENT_S = 20.0
ROW = RowLayout(OURS).pack([149], 1.0)


class Observer:
    def feature_values(self, *told: Any, **more: Any) -> None:
        raise AssertionError("a reader knows no features")

    def feature_read_failed(self, reason: str) -> None:
        pass


async def read(url: str, views: Sequence[FeatureView], *lots: Sequence[bytes]) -> list[Found | None]:
    """What each lot gets, all asked for in one turn."""
    reader = feature_reader(url, Observer(), ReaderOptions(timeout_s=PATIENT_S), hash_rows(views))
    await reader.start()
    try:
        answers = [asyncio.get_running_loop().create_future() for _ in lots]
        for keys, answer in zip(lots, answers, strict=True):
            reader.fetch(keys, answer, _told)
        async with asyncio.timeout(PATIENT_S):
            return list(await asyncio.gather(*answers))
    finally:
        await reader.stop()


def _told(answers: Sequence[asyncio.Future[Found | None]], found: Found | None) -> None:
    for answer in answers:
        answer.set_result(found)


def written(server: Server) -> list[RecordedHash]:
    rows = recorded()
    for row in rows:
        server.client().hset(row.name, mapping={**row.hash})
    return rows


def key_of(row: RecordedHash) -> bytes:
    return row_key(row.view, list(row.entity.values()))


async def test_rows_of_feast_and_of_ours_come_back_from_one_read(server: Server) -> None:
    rows = written(server)
    server.client().set(row_key(OURS, ["N1"]), ROW)
    views = list({row.view.name: row.view for row in rows}.values())
    keys = [row_key(OURS, ["N1"]), *map(key_of, rows), row_key(STATS, [12345]), row_key(OURS, ["N2"])]
    (found,) = await read(server.url, [OURS, *views], keys[::-1])
    assert found is not None
    assert set(found) == set(keys)
    assert found[keys[0]] == ROW
    assert found[keys[-1]] is None
    assert found[keys[-2]] is None
    for row in rows:
        data = found[key_of(row)]
        assert data is not None
        stored = RowLayout(row.view).unpack(data)
        assert stored is not None
        assert dict(zip(DTYPES, stored.values, strict=True)) == {name: row.values[name] for name in DTYPES}


async def test_each_row_of_feast_is_asked_for_once(server: Server) -> None:
    row = written(server)[0]
    proxy = SlowProxy(server.socket, server.socket.parent / "p.sock")
    await proxy.start()
    try:
        founds = await read(proxy.url, [row.view], [key_of(row)] * 2, [row_key(STATS, [12345]), key_of(row)])
    finally:
        await proxy.stop()
    assert proxy.asked.count(b"HMGET") == 2
    assert proxy.asked.count(b"MGET") == 2, "no other command"
    assert founds[0] == founds[1]


async def test_many_rows_of_feast_are_read_in_order_and_none_gets_lost(server: Server) -> None:
    client = server.client()
    count = 5 * MOST_SINGLY_AT_ONCE + 7
    keys = [row_key(STATS, [number]) for number in range(count)]
    pipeline = client.pipeline(transaction=False)
    (field, *_), start = next(iter(hash_rows([STATS]).values())).fields, len(prefix(STATS))
    for number, key in enumerate(keys):
        pipeline.hset(key[start:], mapping={field: bytes([0x18, number % 128])})
    pipeline.execute()
    ours = [row_key(OURS, [f"N{number}"]) for number in range(count)]
    client.mset(dict.fromkeys(ours, ROW))
    mixed = [key for pair in zip(keys, ours, strict=True) for key in pair]
    (found,) = await read(server.url, [STATS, OURS], mixed)
    assert found is not None
    assert {found[key] for key in ours} == {ROW}
    rows = [RowLayout(STATS).unpack(found[key] or b"") for key in keys]
    assert [row and row.values[0] for row in rows] == [number % 128 for number in range(count)]


async def test_a_key_that_is_no_hash_costs_its_own_row_only(server: Server) -> None:
    row = written(server)[0]
    no_hash = row_key(STATS, [12345])
    server.client().set(no_hash[len(prefix(STATS)) :], b"text")
    (found,) = await read(server.url, [row.view], [no_hash, key_of(row)])
    assert found is not None
    assert found[no_hash] == NO_HASH
    assert RowLayout(row.view).fits(found[key_of(row)] or b"")
    with RedisStore(server.url) as store:
        assert store.get(STATS, [12345], 0.0).status == "unreadable"
    inputs = ModelInputs("m", (("x", ("driver_stats.f64",)),), (STATS,), on_missing="fail")
    plan = compile_plan(inputs, Signature((TensorSpec("x", "FP64", (-1, 1)),), (TensorSpec("y", "FP32", (-1, 1)),)))
    refusal = plan.tensors(plan.read([{"driver_id": 12345}]), found, 0).refusal
    assert isinstance(refusal, FeaturesAway)
    assert "the row of driver_id '12345' in feature view 'driver_stats' is no hash of Feast's, and" in refusal.message


def test_a_row_of_feast_is_shown_and_never_written(server: Server) -> None:
    row = written(server)[0]
    before = server.client().hgetall(row.name)
    with RedisStore(server.url) as store:
        assert store.get(row.view, list(row.entity.values()), row.event_time_ms / 1000).status == "present"
        late_s = row.event_time_ms / 1000 + 86_401
        assert store.get(row.view, list(row.entity.values()), late_s).status == "stale"
        assert store.get(row.view, [12345], late_s).status == "not_found"
        with pytest.raises(BadRequest, match=r"Feast's .*, which Sluice only reads; write them with Feast"):
            store.put(row.view, [EntityRow((0,), (1,) * 6, 0.0)])
    assert server.client().hgetall(row.name) == before
