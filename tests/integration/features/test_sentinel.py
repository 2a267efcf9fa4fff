"""A master that Sentinels know: found, followed to another server, and written through them. On both servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.errors import FeaturesAway
from serving.features.feature_view import FeatureView, feature
from serving.features.health.telling_bench import timed_telling
from serving.features.keys import row_key
from serving.features.store.redis_store import EntityRow, RedisStore
from tests.integration.features.test_node_reader import Reader
from tests.integration.redis_process import RedisProcess, free_ports, kinds, until

pytestmark = pytest.mark.integration

PLANE = FeatureView("plane", ("tailnum",), (feature("seats", "int64"),))


class Watched:
    """A master with a replica, and a Sentinel that takes half a second of silence for a death; all want passwords."""

    def __init__(self, kind: str, folder: Path) -> None:
        ports = free_ports(3)
        login = ("requirepass inside", "masterauth inside", "repl-diskless-sync-delay 0")
        follows = f"replicaof 127.0.0.1 {ports[0]}"
        self.master = RedisProcess(kind, folder / "a", ports[0], login)
        self.replica = RedisProcess(kind, folder / "b", ports[1], (*login, follows))
        watch = (
            f"sentinel monitor rows 127.0.0.1 {ports[0]} 1",
            "sentinel auth-pass rows inside",
            "sentinel down-after-milliseconds rows 500",
            "sentinel failover-timeout rows 2000",
            "requirepass outside",
        )
        self.sentinel = RedisProcess(kind, folder / "s", ports[2], watch, sentinel=True)
        # Nobody listens at port 1.
        hosts = f"127.0.0.1:1,127.0.0.1:{ports[2]}"
        self.url = f"redis+sentinel://:inside@{hosts}/rows/0?sentinel_password=outside"

    def start(self) -> None:
        for one in (self.master, self.replica):
            one.start("inside")
        until(lambda: b"master_link_status:up" in self.replica.ask("INFO", "replication"), "the replica follows")
        self.sentinel.start("outside")
        until(self._knows_both_well, "the Sentinel knows both well")

    def _knows_both_well(self) -> bool:
        """Also that it is connected to the replica: until then the flags say so, and the rest of its words do not."""
        told = self.sentinel.ask("SENTINEL", "REPLICAS", "rows")[0]
        return bool(told[told.index(b"flags") + 1] == b"slave")

    def close(self) -> None:
        for one in (self.sentinel, self.master, self.replica):
            one.close()


@pytest.fixture(params=kinds())
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    servers = Watched(request.param, tmp_path)
    try:
        servers.start()
        yield servers
    finally:
        servers.close()


async def test_rows_are_written_and_read_where_the_sentinels_say(watched: Watched) -> None:
    await asyncio.to_thread(_written, watched.url)
    reading = Reader(watched.url)
    await reading.reader.start()
    try:
        key = row_key(PLANE, ["N1"])
        found = await reading.get(key, b"x")
        assert found is not None
        assert found[key]
        assert found[b"x"] is None
    finally:
        await reading.reader.stop()


def test_how_soon_a_write_is_told_is_timed_at_the_master(watched: Watched) -> None:
    telling = timed_telling(watched.url, 0.5)
    assert telling.why_not == ""
    assert telling.writes > 1


@pytest.mark.parametrize("how", ["killed", "stands still", "told to"])
async def test_another_master_is_followed(watched: Watched, how: str) -> None:
    watched.master.ask("SET", "a", "1")
    until(lambda: watched.replica.ask("GET", "a") == b"1", "the replica has it")
    reading = Reader(watched.url)
    await reading.reader.start()
    try:
        assert await reading.get(b"a") == {b"a": b"1"}
        if how == "killed":
            watched.master.kill()
        elif how == "stands still":
            watched.master.stop()
        else:
            await asyncio.to_thread(
                until, lambda: watched.sentinel.ask("SENTINEL", "FAILOVER", "rows") == b"OK", "the Sentinel begins"
            )
        await asyncio.to_thread(until, lambda: watched.replica.ask("ROLE")[0] == b"master", "it takes over")
        watched.replica.ask("SET", "a", "2")
        # The old master may go on by itself, until the Sentinels are asked again.
        for _ in range(100):
            if await reading.comes_back(b"a") == {b"a": b"2"}:
                break
            await asyncio.sleep(0.05)
        assert await reading.get(b"a") == {b"a": b"2"}
    finally:
        watched.master.go_on()
        await reading.reader.stop()


@pytest.mark.parametrize("by", ["its Sentinels", "itself"])
async def test_rows_are_read_from_a_replica_where_that_is_asked_for(watched: Watched, by: str) -> None:
    watched.master.ask("SET", "a", "1")
    until(lambda: watched.replica.ask("GET", "a") == b"1", "the replica has it")
    single = f"redis://:inside@127.0.0.1:{watched.master.port}?read_from=replica"
    reading = Reader(f"{watched.url}&read_from=replica" if by == "its Sentinels" else single)
    await reading.reader.start()
    try:
        await reading.comes_back(b"a")
        watched.replica.ask("CONFIG", "RESETSTAT")
        assert await reading.get(b"a") == {b"a": b"1"}
        assert b"cmdstat_mget:calls=1," in watched.replica.ask("INFO", "commandstats")
        watched.replica.kill()
        await reading.comes_back(b"a")
    finally:
        await reading.reader.stop()


async def test_a_service_that_nobody_knows_is_told(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    url = watched.url.replace("/rows/", "/columns/")
    reading = Reader(url)
    await reading.reader.start()
    try:
        assert await reading.get(b"a") is None
        assert "knows no service 'columns'" in caplog.text
        assert "outside" not in caplog.text
    finally:
        await reading.reader.stop()
    with RedisStore(url) as store, pytest.raises(FeaturesAway, match="columns"):
        await asyncio.to_thread(store.check)


def _written(url: str) -> None:
    with RedisStore(url) as store:
        store.check()
        store.put(PLANE, [EntityRow(("N1",), (149,), 0.0)])
        row = store.get(PLANE, ("N1",), 0.0).row
        assert row is not None
        assert tuple(row.values) == (149,)
