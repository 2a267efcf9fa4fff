"""A reader in steps of the loop: what it sends in each, and what becomes of a read whose connection goes away."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import hiredis
import pytest

from serving.features.feature_status import AWAY
from serving.features.store.node_reader import NodeReader, ReaderOptions
from serving.features.store.reading import MOST_KEYS_A_COMMAND, Found
from serving.features.store.redis_connection import Reply
from serving.features.store.redis_node import RedisNode
from serving.inference import VersionKey

PER_TURN = 8 * MOST_KEYS_A_COMMAND
KEYS = [b"k%d" % number for number in range(2 * PER_TURN + 500)]


class Connection:
    """A server that answers when it is told to: each key with itself."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.commands: list[list[bytes]] = []
        self.replies: list[Reply] = []

    def send(self, command: bytes, reply: Reply) -> None:
        parser = hiredis.Reader()
        parser.feed(command)
        name, *keys = parser.gets()
        assert name == b"MGET"
        self.commands.append(keys)
        self.replies.append(reply)

    def send_all(self, commands: bytes, count: int, reply: Reply) -> None:
        raise AssertionError("neither a cluster nor rows of Feast")

    def abort(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)

    def answer(self) -> None:
        self.answer_with(lambda _, key: key)

    def answer_with(self, value: Callable[[int, bytes], bytes]) -> None:
        """Each key with what `value` says of the number of its command and of itself."""
        answered = len(self.commands) - len(self.replies)
        replies, self.replies = self.replies, []
        for number, (keys, reply) in enumerate(zip(self.commands[answered:], replies, strict=True), answered):
            reply([value(number, key) for key in keys])


class Observer:
    def __init__(self) -> None:
        self.failures: Counter[str] = Counter()

    def feature_values(self, key: VersionKey, variant: str, feature: tuple[str, str], counts: dict[str, int]) -> None:
        raise AssertionError("a reader knows no features")

    def feature_read_failed(self, reason: str) -> None:
        self.failures[reason] += 1


class Bench:
    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.observer = Observer()
        options = ReaderOptions(timeout_s=1000, silence_s=1000, first_pause_s=0, longest_pause_s=0)
        self.reader = NodeReader(RedisNode("nowhere", self.connect), self.observer, options)
        self.told: list[tuple[str, Found | None]] = []

    async def connect(self) -> Connection:
        self.connections.append(Connection())
        return self.connections[-1]

    def ask(self, who: str, keys: Sequence[bytes]) -> None:
        self.reader.fetch(keys, who, self._tell)

    def _tell(self, told: Sequence[str], found: Found | None) -> None:
        self.told += [(who, found) for who in told]

    async def until(self, done: Callable[[], bool]) -> None:
        for _ in range(100):
            if done():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never happened")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    one = Bench()
    await one.reader.start()
    yield one
    await one.reader.stop()


async def test_no_turn_packs_more_than_eight_thousand_keys_and_all_are_sent_in_order(bench: Bench) -> None:
    (connection,) = bench.connections
    bench.ask("large", KEYS)
    sent = 0
    for turn in range(4):
        await asyncio.sleep(0)
        now = sum(map(len, connection.commands))
        assert now - sent <= PER_TURN, turn
        sent = now
    assert [key for keys in connection.commands for key in keys] == KEYS
    assert max(map(len, connection.commands)) == MOST_KEYS_A_COMMAND
    assert bench.told == []
    connection.answer()
    assert bench.told == [("large", {key: key for key in KEYS})]


async def test_replies_that_come_before_all_was_sent_end_no_read(bench: Bench) -> None:
    (connection,) = bench.connections
    bench.ask("large", KEYS)
    await asyncio.sleep(0)
    bench.ask("small", [b"k1", b"other"])
    connection.answer()
    assert bench.told == []
    await bench.until(lambda: sum(map(len, connection.commands)) == len(KEYS) + 2)
    connection.answer()
    assert bench.told == [
        ("large", {key: key for key in KEYS}),
        ("small", {b"k1": b"k1", b"other": b"other"}),
    ]


async def test_a_read_whose_last_keys_were_read_before_ends_also_when_the_replies_were_first(bench: Bench) -> None:
    (connection,) = bench.connections
    bench.ask("twice", KEYS[:PER_TURN] + KEYS[:10])
    await asyncio.sleep(0)
    connection.answer()
    assert bench.told == []
    await bench.until(lambda: bool(bench.told))
    assert bench.told == [("twice", {key: key for key in KEYS[:PER_TURN]})]
    assert sum(map(len, connection.commands)) == PER_TURN
    bench.ask("next", [b"a"])
    await asyncio.sleep(0)
    connection.answer()
    assert bench.told[1:] == [("next", {b"a": b"a"})]


async def test_a_connection_that_goes_away_between_pieces_tells_everybody_and_the_next_one_begins_anew(
    bench: Bench,
) -> None:
    (first,) = bench.connections
    bench.ask("large", KEYS)
    await asyncio.sleep(0)
    bench.ask("behind it", [b"a"])
    first.abort("it closed the connection")
    await bench.until(lambda: len(bench.connections) == 2)
    assert bench.told == [("large", None), ("behind it", None)]
    assert bench.observer.failures == {AWAY: 2}
    assert bench.reader.has_room(bench.reader.most_keys)
    second = bench.connections[1]
    bench.ask("later", [b"b"])
    await asyncio.sleep(0)
    assert second.commands == [[b"b"]]
    second.answer()
    assert bench.told[2:] == [("later", {b"b": b"b"})]


async def test_nothing_asked_for_is_found_at_once_and_takes_nobody_elses_reply(bench: Bench) -> None:
    (connection,) = bench.connections
    bench.ask("nothing", [])
    await asyncio.sleep(0)
    bench.ask("something", [b"a"])
    await asyncio.sleep(0)
    connection.answer()
    assert bench.told == [("nothing", {}), ("something", {b"a": b"a"})]


async def test_who_fits_into_one_command_gets_all_rows_from_one_also_those_that_others_of_the_turn_want(
    bench: Bench,
) -> None:
    (connection,) = bench.connections
    bench.ask("first", KEYS[:600])
    bench.ask("with it", KEYS[300:700])
    bench.ask("would be cut", KEYS[690:1_000])
    bench.ask("large", KEYS[: MOST_KEYS_A_COMMAND + 1])
    bench.ask("after it", KEYS[:2])
    await asyncio.sleep(0)
    assert [len(keys) for keys in connection.commands] == [700, 310, MOST_KEYS_A_COMMAND, 1, 2]
    connection.answer_with(lambda number, _: b"%d" % number)
    values = {who: set((found or {}).values()) for who, found in bench.told}
    assert values == {
        "first": {b"0"},
        "with it": {b"0"},
        "would be cut": {b"1"},
        "large": {b"2", b"3"},
        "after it": {b"4"},
    }
    assert bench.reader.has_room(bench.reader.most_keys)


async def test_no_turn_packs_more_than_eight_commands_however_many_ask(bench: Bench) -> None:
    (connection,) = bench.connections
    for number in range(20):
        bench.ask(str(number), KEYS[:900])
    for sent in (8, 16, 20, 20):
        await asyncio.sleep(0)
        assert len(connection.commands) == sent
    connection.answer()
    assert [who for who, _ in bench.told] == [str(number) for number in range(20)]
