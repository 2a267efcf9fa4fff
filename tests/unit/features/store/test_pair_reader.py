"""Two nodes with the same rows: which is asked, when the other is as well, and whose answer counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

from serving.features.store.feature_reader import Figures
from serving.features.store.node_reader import NodeReader, ReaderOptions
from serving.features.store.pair_reader import PairReader
from serving.features.store.reading import Found, Then

ROW = {b"a": b"1"}


class Node:
    """Answers when the test does."""

    most_keys = 100

    def __init__(self, name: str) -> None:
        self.name = name
        self.answers = True
        self.wants_probe = False
        self.asked: list[tuple[list[bytes], object, Then]] = []

    def fetch(self, keys: Collection[bytes], who: object, then: Then) -> None:
        self.asked.append((list(keys), who, then))

    def has_room(self, keys: int) -> bool:
        return keys <= self.most_keys

    def figures(self) -> Figures:
        return Figures({self.name: self.answers})

    def say(self, found: Found | None) -> None:
        _, who, then = self.asked.pop(0)
        then((who,), found)


class Bench:
    def __init__(self, hedge_share: float = 0.0, timeout_s: float = 1_000.0) -> None:
        self.first, self.second = Node("first"), Node("second")
        first, second = cast("NodeReader", self.first), cast("NodeReader", self.second)
        self.pair = PairReader(first, second, ReaderOptions(timeout_s=timeout_s, hedge_share=hedge_share))
        self.told: list[tuple[str, Found | None]] = []

    def ask(self, who: str, *keys: bytes) -> None:
        self.pair.fetch(keys, who, self._tell)

    async def until(self, done: Callable[[], Any]) -> None:
        for _ in range(2_000):
            if done():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it never happened")

    def _tell(self, told: Sequence[str], found: Found | None) -> None:
        self.told += [(who, found) for who in told]


async def test_the_first_is_asked_alone_where_it_answers() -> None:
    bench = Bench()
    bench.ask("x", b"a")
    bench.ask("y", b"b")
    await bench.until(lambda: bench.first.asked)
    assert bench.first.asked[0][0] == [b"a", b"b"]
    bench.first.say(ROW)
    assert bench.told == [("x", ROW), ("y", ROW)]
    assert bench.second.asked == []


async def test_the_second_is_asked_where_the_first_cannot_be_or_refuses() -> None:
    bench = Bench()
    bench.first.answers = False
    bench.ask("x", b"a")
    await bench.until(lambda: bench.second.asked)
    assert bench.first.asked == []
    bench.second.say(ROW)
    bench.first.answers = True
    bench.ask("y", b"a")
    await bench.until(lambda: bench.first.asked)
    bench.first.say(None)
    assert bench.told == [("x", ROW)]
    bench.second.say(ROW)
    assert bench.told == [("x", ROW), ("y", ROW)]


async def test_where_neither_answers_everybody_is_told_once() -> None:
    bench = Bench()
    bench.ask("x", b"a")
    await bench.until(lambda: bench.first.asked)
    bench.first.say(None)
    bench.second.say(None)
    assert bench.told == [("x", None)]


async def test_a_first_that_took_its_whole_time_leaves_none_for_the_second() -> None:
    bench = Bench(timeout_s=0.0)
    bench.ask("x", b"a")
    await bench.until(lambda: bench.first.asked)
    bench.first.say(None)
    assert bench.told == [("x", None)]
    assert bench.second.asked == []


async def test_a_late_first_is_hedged_and_the_answer_that_comes_first_counts() -> None:
    # The guess of what is late is half of it; later reads teach better.
    bench = Bench(hedge_share=0.05, timeout_s=0.002)
    bench.pair._options = ReaderOptions(timeout_s=1_000.0, hedge_share=0.05)
    bench.ask("x", b"a")
    await bench.until(lambda: bench.second.asked)
    bench.second.say(ROW)
    assert bench.told == [("x", ROW)]
    bench.first.say({b"a": b"another"})
    assert bench.told == [("x", ROW)], "told once"
    figures = bench.pair.figures()
    assert (figures.hedged, figures.hedge_wins) == (1, 1)
    assert figures.nodes == {"first": True, "second": True}


async def test_no_more_than_the_share_is_read_twice() -> None:
    bench = Bench(hedge_share=0.05, timeout_s=1_000.0)
    bench.pair._late_after_s = 0.0
    for number in range(200):
        bench.ask(str(number), b"a")
        await bench.until(lambda: bench.first.asked)
        await asyncio.sleep(0.001)
        bench.pair._late_after_s = 0.0
        bench.first.say(ROW)
    assert len(bench.told) == 200
    assert 2 <= bench.pair.figures().hedged <= 11


async def test_a_first_that_was_left_alone_is_tried_again_while_the_second_answers_and_nobody_waits_for_it() -> None:
    bench = Bench()
    bench.first.answers = False
    bench.first.wants_probe = True
    bench.ask("x", b"a")
    await bench.until(lambda: bench.second.asked)
    assert len(bench.first.asked) == 1
    bench.second.say(ROW)
    assert bench.told == [("x", ROW)]
    bench.first.say(None)
    bench.ask("y", b"a")
    await bench.until(lambda: bench.second.asked)
    bench.first.say(ROW)
    bench.second.say(None)
    assert bench.told == [("x", ROW), ("y", ROW)]
    assert bench.pair.figures().hedge_wins == 0


async def test_keys_that_no_node_counts_yet_take_room_too() -> None:
    bench = Bench()
    bench.ask("x", *[b"%d" % number for number in range(60)])
    assert not bench.pair.has_room(41)
    assert bench.pair.has_room(40)
    await bench.until(lambda: bench.first.asked)
    assert bench.pair.has_room(100)
