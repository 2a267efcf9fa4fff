"""The reader against a real Valkey that is killed, stopped, emptied, slow, or no Valkey at all."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from serving.errors import ConfigInvalid
from serving.features.store.node_reader import ReaderOptions
from serving.features.store.reading import MOST_KEYS_A_COMMAND, Found
from serving.features.store.topology import feature_reader
from serving.inference import VersionKey
from tests.integration.features.slow_proxy import SlowProxy
from tests.integration.valkey_server import Server

pytestmark = pytest.mark.integration

PATIENT_S = 20.0

# A server that has to wait for a core is not late; less than the silence after which it is left.
QUICK = ReaderOptions(timeout_s=0.5)


class Observer:
    def __init__(self) -> None:
        self.failures: Counter[str] = Counter()

    def feature_values(self, key: VersionKey, variant: str, feature: tuple[str, str], counts: dict[str, int]) -> None:
        raise AssertionError("a reader knows no features")

    def feature_read_failed(self, reason: str) -> None:
        self.failures[reason] += 1


class Reader:
    """A reader that can be awaited."""

    def __init__(self, url: str, **options: float) -> None:
        self.observer = Observer()
        self.reader = feature_reader(url, self.observer, replace(QUICK, **options))  # type: ignore[arg-type]

    def asks(self, *keys: bytes) -> asyncio.Future[Found | None]:
        answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        # A second call would raise InvalidStateError into the reader's log, and the loop's.
        self.reader.fetch(keys, answer, _told)
        return answer

    async def get(self, *keys: bytes) -> Found | None:
        async with asyncio.timeout(PATIENT_S):
            return await self.asks(*keys)

    async def comes_back(self, key: bytes) -> Found:
        async with asyncio.timeout(PATIENT_S):
            while True:
                found = await self.asks(key)
                if found is not None:
                    return found
                await asyncio.sleep(0.02)

    async def goes_away(self, key: bytes = b"a") -> None:
        async with asyncio.timeout(PATIENT_S):
            while True:
                if await self.asks(key) is None:
                    return
                await asyncio.sleep(0.001)


def _told(answers: Sequence[asyncio.Future[Found | None]], found: Found | None) -> None:
    for answer in answers:
        answer.set_result(found)


@pytest.fixture
async def reader(server: Server) -> AsyncIterator[Reader]:
    server.client().set("a", b"1")
    reading = Reader(server.url)
    await reading.reader.start()
    yield reading
    await reading.reader.stop()


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[SlowProxy]:
    server.client().set("a", b"1")
    between = SlowProxy(server.socket, server.socket.parent / "p.sock")
    await between.start()
    yield between
    await between.stop()


async def test_rows_come_back_by_key_and_none_for_what_is_not_there(reader: Reader) -> None:
    assert await reader.get(b"a", b"b") == {b"a": b"1", b"b": None}


async def test_reads_of_one_turn_are_one_command_and_each_key_is_read_once(proxy: SlowProxy) -> None:
    reading = Reader(proxy.url)
    await reading.reader.start()
    try:
        first, second, third = reading.asks(b"a", b"b"), reading.asks(b"b"), reading.asks(b"a", b"c")
        async with asyncio.timeout(PATIENT_S):
            founds = await asyncio.gather(first, second, third)
        assert all(found is not None and found[b"b"] is None for found in founds[:2])
        assert proxy.asked.count(b"MGET") == 1
        assert proxy.asked.count(b"$1\r\nb\r\n") == 1
    finally:
        await reading.reader.stop()


async def test_no_command_has_more_than_a_thousand_keys_and_none_gets_lost(server: Server, proxy: SlowProxy) -> None:
    keys = [b"k%d" % number for number in range(2_500)]
    server.client().mset({key: b"v" + key for key in keys})
    reading = Reader(proxy.url, timeout_s=PATIENT_S)
    await reading.reader.start()
    try:
        assert await reading.get(*keys) == {key: b"v" + key for key in keys}
        assert proxy.asked.count(b"MGET") == 3
        assert proxy.asked.count(b"*1001\r\n$4\r\nMGET") == 2
    finally:
        await reading.reader.stop()


async def test_many_reads_in_flight_each_get_their_own_rows(server: Server, reader: Reader) -> None:
    server.client().mset({f"k{number}": number for number in range(500)})
    asked = []
    for number in range(500):
        asked.append(reader.asks(b"k%d" % number))
        if number % 7 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(PATIENT_S):
        founds = await asyncio.gather(*asked)
    assert [found and found[b"k%d" % number] for number, found in enumerate(founds)] == [
        b"%d" % number for number in range(500)
    ]


async def test_a_killed_server_is_told_at_once_and_found_again_when_it_is_back(server: Server, reader: Reader) -> None:
    server.kill()
    await reader.goes_away()
    assert await reader.get(b"a") is None
    assert reader.observer.failures["away"]
    server.start()
    assert await reader.comes_back(b"a") == {b"a": None}, "it came back empty"


async def test_a_stopped_server_is_waited_for_once_and_found_again(server: Server, reader: Reader) -> None:
    server.stop()
    try:
        assert await reader.get(b"a") is None
        assert reader.observer.failures == {"late": 1}
        answer = reader.asks(b"a")
        assert answer.done(), "nobody waits behind a server that owes an answer"
        # Until it is left and tried anew, in vain.
        async with asyncio.timeout(PATIENT_S):
            while not reader.observer.failures["away"]:
                assert await reader.asks(b"a") is None
                await asyncio.sleep(0.02)
        assert await reader.get(b"a") is None
    finally:
        server.signal(signal.SIGCONT)
    assert await reader.comes_back(b"a") == {b"a": b"1"}


async def test_a_slow_server_answers_those_who_have_time(proxy: SlowProxy) -> None:
    reading = Reader(proxy.url, timeout_s=PATIENT_S)
    await reading.reader.start()
    proxy.delay_s = 0.06
    try:
        assert await reading.get(b"a") == {b"a": b"1"}
    finally:
        await reading.reader.stop()


async def test_late_answers_are_dropped_and_never_given_to_another_read(server: Server, proxy: SlowProxy) -> None:
    server.client().mset({f"k{number}": number for number in range(50)})
    reading = Reader(proxy.url, timeout_s=0.03)
    await reading.reader.start()
    proxy.delay_s = 0.5
    try:
        for number in range(20):
            assert await reading.get(b"k%d" % number) is None
        proxy.delay_s = 0.0
        assert await reading.comes_back(b"k7") == {b"k7": b"7"}
        for number in range(50):
            assert await reading.comes_back(b"k%d" % number) == {b"k%d" % number: b"%d" % number}
    finally:
        await reading.reader.stop()


async def test_a_server_that_sends_nonsense_is_left_and_tried_again(proxy: SlowProxy) -> None:
    reading = Reader(proxy.url)
    await reading.reader.start()
    try:
        for nonsense in (
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"*1\r\n:7\r\n" * 3,
            b"+OK\r\n",
            b"-LOADING it loads\r\n",
            b"*0\r\n",
        ):
            proxy.nonsense = nonsense
            assert await reading.get(b"a") is None
            proxy.nonsense = b""
            assert await reading.comes_back(b"a") == {b"a": b"1"}
    finally:
        await reading.reader.stop()


async def test_a_server_is_reached_over_tcp_too(server: Server) -> None:
    server.client().set("a", b"1")
    between = SlowProxy(server.socket, server.socket.parent / "unused.sock")
    reading = Reader(f"redis://127.0.0.1:{await between.start_tcp()}/0")
    await reading.reader.start()
    try:
        assert await reading.get(b"a") == {b"a": b"1"}
    finally:
        await reading.reader.stop()
        await between.stop()


async def test_values_of_another_type_are_no_rows(server: Server, reader: Reader) -> None:
    server.client().hset("h", "f", "v")
    assert await reader.get(b"h") == {b"h": None}


async def test_a_caller_that_raises_does_not_strand_the_others(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(who: Sequence[str], found: Found | None) -> None:
        raise RuntimeError("a defect")

    reader.reader.fetch([b"a"], "somebody", raises)
    assert await reader.get(b"a") == {b"a": b"1"}
    assert "a defect" in caplog.text


async def test_two_views_that_one_command_writes_are_never_seen_half_old_in_turns_of_many_commands(
    server: Server,
) -> None:
    """Writes go on all the time, 16 requests of 90 rows a turn share keys, and each wants both views of some ids."""
    planes, routes = ([b"%s%d" % (view, number) for number in range(200)] for view in (b"plane:", b"route:"))
    requests = [planes[start : start + 45] + routes[start : start + 45] for start in range(0, 155, 10)]
    assert sum(map(len, requests)) > MOST_KEYS_A_COMMAND
    reading, done, seen = Reader(server.url, timeout_s=PATIENT_S), threading.Event(), set[bytes | None]()
    server.client().mset(dict.fromkeys([*planes, *routes], b"0"))
    await reading.reader.start()
    writer = threading.Thread(target=_write_until, args=(done, server, [*planes, *routes]))
    writer.start()
    try:
        async with asyncio.timeout(PATIENT_S):
            while len(seen) < 200:
                for keys, found in zip(
                    requests, await asyncio.gather(*(reading.asks(*r) for r in requests)), strict=True
                ):
                    assert found is not None
                    (value,) = {found[key] for key in keys}
                    seen.add(value)
    finally:
        done.set()
        writer.join()
        await reading.reader.stop()


def _write_until(done: threading.Event, server: Server, keys: Sequence[bytes]) -> None:
    with server.client() as client:
        number = 0
        while not done.is_set():
            number += 1
            client.mset(dict.fromkeys(keys, b"%d" % number))


async def test_keys_in_flight_are_bounded_and_freed(server: Server) -> None:
    reading = Reader(server.url, most_keys=10)
    await reading.reader.start()
    try:
        answers = [reading.asks(b"a", b"b", b"c") for _ in range(3)]
        assert reading.reader.has_room(1)
        assert not reading.reader.has_room(2)
        async with asyncio.timeout(PATIENT_S):
            await asyncio.gather(*answers)
        assert reading.reader.has_room(10)
        server.kill()
        await reading.goes_away()
        assert reading.reader.has_room(10)
    finally:
        await reading.reader.stop()


async def test_a_start_without_a_server_ends_and_the_server_is_found_later(server: Server) -> None:
    server.kill()
    reading = Reader(server.url)
    async with asyncio.timeout(PATIENT_S):
        await reading.reader.start()
    try:
        assert await reading.get(b"a") is None
        server.start()
        assert await reading.comes_back(b"a") == {b"a": None}
    finally:
        await reading.reader.stop()


async def test_stopping_tells_who_waits_and_leaves_no_task(server: Server) -> None:
    reading = Reader(server.url)
    await reading.reader.start()
    server.stop()
    try:
        waiting = reading.asks(b"a")
        await asyncio.sleep(0)
        await reading.reader.stop()
        assert await waiting is None
        assert await reading.get(b"a") is None
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    finally:
        server.signal(signal.SIGCONT)


async def test_stopping_while_it_connects_ends(server: Server) -> None:
    server.stop()
    try:
        reading = Reader(server.url, connect_s=PATIENT_S)
        starting = asyncio.create_task(reading.reader.start())
        await asyncio.sleep(0.01)
        async with asyncio.timeout(PATIENT_S / 2):
            await reading.reader.stop()
            await starting
    finally:
        server.signal(signal.SIGCONT)


async def test_a_password_is_sent_and_a_wrong_one_is_away(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.client().config_set("requirepass", "secret")
    right = Reader(f"unix://:secret@{server.socket}?db=1")
    wrong = Reader(f"unix://:guess@{server.socket}")
    await right.reader.start()
    await wrong.reader.start()
    try:
        assert await right.get(b"a") == {b"a": None}, "another database"
        assert await wrong.get(b"a") is None
        assert "WRONGPASS" in caplog.text
        assert "guess" not in caplog.text
    finally:
        await right.reader.stop()
        await wrong.reader.stop()


def test_an_address_that_is_none_is_refused_without_repeating_it() -> None:
    for url in ("localhost:6379", "http://secret@host", "redis://:secret@host:port", "redis://host?secrets=1"):
        with pytest.raises(ConfigInvalid) as refused:
            feature_reader(url, Observer())
        assert "secret@" not in refused.value.message
        assert "features' URL" in refused.value.message
