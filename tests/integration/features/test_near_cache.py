"""The near cache on a real Valkey: what it hears of writes, and what the server is spared."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from serving.features.cache.cached_reader import CachedReader
from serving.features.cache.lifetime import Lifetime
from serving.features.cache.write_listener import ListenerOptions, WriteListener
from serving.features.cache.write_listeners import WriteListeners
from serving.features.store.node_reader import ReaderOptions
from serving.features.store.reading import Found
from serving.features.store.sources import Sources
from serving.features.store.store_address import parse_store
from serving.features.store.topology import feature_reader
from serving.inference import VersionKey
from tests.integration.valkey_server import Server

pytestmark = pytest.mark.integration

PATIENT_S = 20.0
PLANE, ROUTE = b"sluice:f:plane:", b"sluice:f:route:"
A, B = PLANE + b"1:A", ROUTE + b"1:B"
# A server that has to wait for a core is neither silent nor late.
OPTIONS = ListenerOptions(ask_s=0.05, silence_s=2.0, longest_pause_s=0.1)
QUICK = ReaderOptions(timeout_s=0.5)


class Observer:
    def feature_values(self, key: VersionKey, variant: str, feature: tuple[str, str], counts: dict[str, int]) -> None:
        raise AssertionError("a reader knows no features")

    def feature_read_failed(self, reason: str) -> None:
        """Not looked at."""


class Worker:
    """What one gateway worker has of features, and every word that it hears, in order; `several` servers keep rows."""

    def __init__(self, url: str, prefixes: Sequence[bytes] = (b"sluice:f:",), *, several: bool = False) -> None:
        lifetime = Lifetime(3_600.0, 3_600.0, 3_600.0)
        sources = Sources()
        reader = feature_reader(url, Observer(), QUICK, sources=sources)
        self.reader = CachedReader(reader, 10_000_000, {PLANE: lifetime, ROUTE: lifetime}, time.monotonic)
        self.listener: WriteListener | WriteListeners = WriteListeners(sources, prefixes, self, OPTIONS)
        if not several:
            self.listener = WriteListener(parse_store(url).node, prefixes, self, OPTIONS)
        self.words: list[object] = []
        self.changed = asyncio.Event()

    async def start(self) -> None:
        await self.reader.start()
        await self.listener.start()

    async def stop(self) -> None:
        await self.listener.stop()
        await self.reader.stop()

    def invalidate(self, keys: Sequence[bytes]) -> None:
        self.reader.invalidate(keys)
        self._heard(sorted(keys))

    def flush(self) -> None:
        self.reader.flush()
        self._heard("flush")

    def trust(self, *, heard: bool) -> None:
        self.reader.trust(heard=heard)
        self._heard(heard)

    def _heard(self, word: object) -> None:
        self.words.append(word)
        self.changed.set()

    async def hears(self, word: object) -> None:
        """Wait for the next time that it hears this."""
        async with asyncio.timeout(PATIENT_S):
            while word not in self.words:
                self.changed.clear()
                await self.changed.wait()
        del self.words[: self.words.index(word) + 1]

    async def get(self, *keys: bytes) -> Found | None:
        answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()

        def told(several: Sequence[asyncio.Future[Found | None]], found: Found | None) -> None:
            for one in several:
                one.set_result(None if found is None else {key: found[key] for key in keys if key in found})

        self.reader.fetch(keys, answer, told)
        async with asyncio.timeout(PATIENT_S):
            return await answer

    async def finds(self, key: bytes, row: bytes | None) -> None:
        """Wait until the reader, which has a connection of its own, is back as well."""
        async with asyncio.timeout(PATIENT_S):
            while await self.get(key) != {key: row}:  # noqa: ASYNC110 - nobody tells when that is
                await asyncio.sleep(0.01)


@pytest.fixture
async def workers(server: Server) -> AsyncIterator[list[Worker]]:
    several = [Worker(server.url), Worker(server.url)]
    for worker in several:
        await worker.start()
        await worker.hears(True)
    yield several
    for worker in several:
        await worker.stop()


async def test_a_write_is_seen_by_every_worker_once_it_was_told(server: Server, workers: list[Worker]) -> None:
    client = server.client()
    client.set(A, b"old")
    for worker in workers:
        await worker.hears([A])
        assert await worker.get(A) == {A: b"old"}
    client.set(A, b"new")
    for worker in workers:
        await worker.hears([A])
        assert await worker.get(A) == {A: b"new"}


async def test_how_long_telling_takes_is_known_while_it_is_told(server: Server, workers: list[Worker]) -> None:
    worker = workers[0]
    async with asyncio.timeout(PATIENT_S):
        while worker.listener.told_within_s is None:  # noqa: ASYNC110 - nobody tells when that is
            await asyncio.sleep(0.01)
    assert 0 < worker.listener.told_within_s < PATIENT_S
    server.kill()
    await worker.hears(False)
    assert worker.listener.told_within_s is None


async def test_rows_that_one_command_wrote_are_told_in_one_message(server: Server, workers: list[Worker]) -> None:
    for number in range(20):
        server.client().mset({A: number, B: number})
        for worker in workers:
            await worker.hears([A, B])
            value = b"%d" % number
            assert await worker.get(A, B) == {A: value, B: value}


async def test_rows_that_expire_are_deleted_or_flushed_are_told_as_well(server: Server, workers: list[Worker]) -> None:
    worker, client = workers[0], server.client()
    client.set(A, b"1", px=30)
    await worker.hears([A])
    await worker.get(A)
    await worker.hears([A])
    assert await worker.get(A) == {A: None}
    client.set(A, b"2")
    await worker.hears([A])
    assert await worker.get(A) == {A: b"2"}
    client.delete(A)
    await worker.hears([A])
    assert await worker.get(A) == {A: None}
    client.flushall()
    await worker.hears("flush")


async def test_unknown_ids_at_full_rate_are_read_once(server: Server, workers: list[Worker]) -> None:
    client, worker = server.client(), workers[0]
    unknown = [PLANE + b"%d" % number for number in range(500)]
    client.config_resetstat()
    for _ in range(200):
        await worker.get(*unknown)
    stats = client.info("commandstats")
    assert stats["cmdstat_mget"]["calls"] == 1
    assert worker.reader.counts.negatives == 199 * 500


async def test_a_lost_listener_says_so_and_trusts_nothing_that_it_could_have_missed(
    server: Server, workers: list[Worker], caplog: pytest.LogCaptureFixture
) -> None:
    client, worker = server.client(), workers[0]
    client.set(A, b"old")
    await worker.hears([A])
    assert await worker.get(A) == {A: b"old"}
    tracking = [one["id"] for one in client.client_list() if "t" in one["flags"] or "B" in one["flags"]]
    assert len(tracking) == len(workers)
    for number in tracking:
        client.client_kill_filter(_id=number)
    await worker.hears(False)
    client.set(A, b"new")
    assert await worker.get(A) == {A: b"new"}
    await worker.hears(True)
    assert "does not tell of writes" in caplog.text
    client.set(A, b"newer")
    await worker.hears([A])
    assert await worker.get(A) == {A: b"newer"}


async def test_a_server_that_stands_still_is_noticed_and_one_that_died_is_found_again(
    server: Server, workers: list[Worker]
) -> None:
    worker = workers[0]
    server.client().set(A, b"old")
    await worker.hears([A])
    assert await worker.get(A) == {A: b"old"}
    server.stop()
    await worker.hears(False)
    server.kill()
    assert await worker.get(A) == {A: b"old"}, "used while nothing answers"
    server.start()
    await worker.hears(True)
    await worker.finds(A, None)


async def test_views_that_are_not_listened_to_are_not_told_of(server: Server) -> None:
    worker = Worker(server.url, (PLANE,))
    await worker.start()
    try:
        server.client().mset({A: b"1", B: b"1"})
        await worker.hears([A])
        assert [B] not in worker.words
    finally:
        await worker.stop()


async def test_a_server_that_knows_no_tracking_leaves_time_alone_to_end_rows(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.client().acl_setuser(
        "plain", enabled=True, passwords=["+x"], categories=["+@all"], commands=["-client"], keys=["*"]
    )
    worker = Worker(server.url + "?username=plain&password=x")
    await worker.start()
    try:
        assert not worker.reader.heard
        assert await worker.get(A) == {A: None}
        assert "it answers CLIENT with" in caplog.text
    finally:
        await worker.stop()
