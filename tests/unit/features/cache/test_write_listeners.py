"""When what is known is trusted, as servers that rows are read from come, go and are heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import cast

import pytest

from serving.features.cache import write_listeners
from serving.features.cache.write_listener import HearsOfWrites
from serving.features.cache.write_listeners import WriteListeners
from serving.features.store import sources as store_sources
from serving.features.store.redis_address import RedisAddress
from serving.features.store.redis_connection import RedisConnection
from serving.features.store.sources import Sources

ONE, TWO = RedisAddress("one"), RedisAddress("two")


class Listener:
    """Hears when the test says so."""

    def __init__(self, address: RedisAddress, _: Sequence[bytes], tells: HearsOfWrites, __: object) -> None:
        self.tells = tells
        self.told_within_s: float | None = 0.5
        self.ended = False
        listeners[address.host] = self

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        self.ended = True


class Connection:
    def __init__(self) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()


class Told:
    """Each time that trust was begun anew, with what is so from then on."""

    def __init__(self) -> None:
        self.trusted: list[bool] = []
        self.words: list[object] = []

    def invalidate(self, keys: Sequence[bytes]) -> None:
        self.words.append(list(keys))

    def flush(self) -> None:
        self.words.append("flush")

    def trust(self, *, heard: bool) -> None:
        self.trusted.append(heard)


listeners: dict[str, Listener] = {}


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    async def connected(_: RedisAddress) -> RedisConnection:
        return cast("RedisConnection", Connection())

    listeners.clear()
    monkeypatch.setattr(write_listeners, "WriteListener", Listener)
    monkeypatch.setattr(store_sources, "connect", connected)
    return Sources()


@pytest.fixture
async def told(sources: Sources) -> AsyncIterator[Told]:
    hears = Told()
    several = WriteListeners(sources, [b"sluice:f:"], hears)
    await several.start()
    yield hears
    await several.stop()
    assert all(listener.ended for listener in listeners.values())


async def test_nothing_is_trusted_until_all_that_rows_are_read_from_are_heard(sources: Sources, told: Told) -> None:
    await sources.connect(ONE)
    await sources.connect(TWO)
    listeners["one"].tells.trust(heard=True)
    assert told.trusted[-1] is False
    listeners["two"].tells.trust(heard=True)
    assert told.trusted[-1] is True


async def test_a_server_that_comes_is_not_trusted_before_it_is_heard(sources: Sources, told: Told) -> None:
    await sources.connect(ONE)
    listeners["one"].tells.trust(heard=True)
    await sources.connect(TWO)
    assert told.trusted[-1] is False, "before the first row of it can come"


async def test_one_that_is_lost_takes_trust_once_and_the_others_go_on(sources: Sources, told: Told) -> None:
    await sources.connect(ONE)
    connection = await sources.connect(TWO)
    for listener in listeners.values():
        listener.tells.trust(heard=True)
    listeners["two"].tells.trust(heard=False)
    assert told.trusted[-1] is False
    connection.ended.set_result("it closed the connection")
    await asyncio.sleep(0)
    assert told.trusted[-1] is True


async def test_rows_that_change_places_are_trusted_anew(sources: Sources, told: Told) -> None:
    await sources.connect(ONE)
    listeners["one"].tells.trust(heard=True)
    before = len(told.trusted)
    sources.moved()
    assert told.trusted[before:] == [True]


async def test_what_any_of_them_tells_is_passed_on(sources: Sources, told: Told) -> None:
    await sources.connect(ONE)
    await sources.connect(TWO)
    listeners["one"].tells.invalidate([b"a"])
    listeners["two"].tells.flush()
    assert told.words == [[b"a"], "flush"]


@pytest.mark.parametrize("returns", [False, True])
async def test_one_that_nothing_is_read_from_for_long_is_left(
    sources: Sources,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
    returns: bool,
) -> None:
    monkeypatch.setattr(write_listeners, "_LEFT_S", 0.0)
    connection = await sources.connect(ONE)
    connection.ended.set_result("it closed the connection")
    await asyncio.sleep(0)
    if returns:
        await sources.connect(ONE)
    for _ in range(5):
        await asyncio.sleep(0)
    assert listeners["one"].ended is not returns


async def test_how_long_telling_takes_is_that_of_the_slowest_while_all_are_heard(sources: Sources) -> None:
    several = WriteListeners(sources, [b"sluice:f:"], Told())
    await several.start()
    took = [several.told_within_s]
    await sources.connect(ONE)
    await sources.connect(TWO)
    listeners["two"].told_within_s = 0.75
    took.append(several.told_within_s)
    listeners["one"].told_within_s = None
    took.append(several.told_within_s)
    await several.stop()
    assert took == [None, 0.75, None]
