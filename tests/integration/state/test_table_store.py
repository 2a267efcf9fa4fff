"""The routing table in a real Valkey that is killed, stopped and emptied."""

from __future__ import annotations

import asyncio
import signal

import pytest

from serving.errors import InUse, Unavailable
from serving.state import follower, keys
from serving.state.table_store import TableStore
from tests.integration.state.waiting import until
from tests.integration.valkey_server import Server

# An operation may take one second, and what it runs beside may hold it up for some.
HANGS_S = 10.0


def table(epoch: int) -> bytes:
    return b'{"format":1,"epoch":%d,"routes":[]}' % epoch


async def test_a_published_table_reaches_followers_at_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # By being told: polling comes too late for it.
    monkeypatch.setattr(follower, "POLL_S", 600.0)
    seen: list[bytes | None] = []
    following, publisher = TableStore(server.url, seen.append), TableStore(server.url)
    following.follow()
    await until(lambda: seen != [])
    assert await publisher.publish(table(1), 1)
    await until(lambda: seen[-1] == table(1))
    await following.stop()
    await publisher.stop()


@pytest.mark.usefixtures("patient")
async def test_a_table_never_goes_back(server: Server) -> None:
    store = TableStore(server.url)
    assert await store.publish(table(7), 7)
    assert not await store.publish(table(7), 7)
    assert not await store.publish(table(6), 6)
    assert await store.current() == table(7)
    assert await store.publish(table(10), 10)
    assert await store.current() == table(10)
    await store.stop()


@pytest.mark.usefixtures("patient")
async def test_publishers_side_by_side_leave_the_highest_epoch(server: Server) -> None:
    stores = [TableStore(server.url) for _ in range(4)]

    async def publish(number: int) -> None:
        for epoch in range(1 + number, 101, len(stores)):
            await stores[number].publish(table(epoch), epoch)

    await asyncio.gather(*map(publish, range(len(stores))))
    assert await stores[0].current() == table(100)
    for store in stores:
        await store.stop()


async def test_an_unreadable_table_is_replaced(server: Server) -> None:
    server.client().set("sluice:table", b"\xffnonsense")
    store = TableStore(server.url)
    assert await store.publish(table(1), 1)
    await store.stop()


async def test_a_lost_message_is_made_up_for_by_polling(server: Server) -> None:
    seen: list[bytes | None] = []
    store = TableStore(server.url, seen.append)
    store.follow()
    await until(lambda: seen != [])
    server.client().set("sluice:table", table(3))
    await until(lambda: seen[-1] == table(3))
    await store.stop()


async def test_following_goes_on_after_the_server_was_killed_and_came_back_empty(server: Server) -> None:
    seen: list[bytes | None] = []
    store = TableStore(server.url, seen.append)
    assert await store.publish(table(4), 4)
    store.follow()
    await until(lambda: seen[-1:] == [table(4)])
    server.kill()
    await asyncio.sleep(0.3)
    server.start()
    await until(lambda: seen[-1] is None)
    assert await store.publish(table(4), 4)
    await until(lambda: seen[-1] == table(4))
    await store.stop()


async def test_following_goes_on_after_the_server_was_stopped(server: Server) -> None:
    seen: list[bytes | None] = []
    store = TableStore(server.url, seen.append)
    store.follow()
    await until(lambda: seen != [])
    server.stop()
    await asyncio.sleep(2.5)
    before = len(seen)
    server.signal(signal.SIGCONT)
    await until(lambda: len(seen) > before)
    await store.stop()


async def test_every_operation_ends_while_the_server_is_stopped(server: Server) -> None:
    store = TableStore(server.url)
    assert await store.publish(table(1), 1)
    server.stop()
    for operation in (store.publish(table(2), 2), store.current()):
        with pytest.raises(Unavailable):
            async with asyncio.timeout(HANGS_S):
                await operation
    async with asyncio.timeout(HANGS_S):
        await store.stop()
    server.signal(signal.SIGCONT)


async def test_a_follower_stops_at_once_while_the_server_is_stopped(server: Server) -> None:
    store = TableStore(server.url, lambda _: None)
    store.follow()
    await asyncio.sleep(0.2)
    server.stop()
    await asyncio.sleep(0.2)
    async with asyncio.timeout(HANGS_S):
        await store.stop()
    server.signal(signal.SIGCONT)


async def test_following_begins_when_the_server_comes_later(server: Server) -> None:
    server.kill()
    seen: list[bytes | None] = []
    store = TableStore(server.url, seen.append)
    store.follow()
    await asyncio.sleep(0.3)
    assert seen == []
    server.start()
    await until(lambda: seen != [])
    await store.stop()


async def test_a_table_of_a_controller_that_was_replaced_is_refused_whatever_its_epoch(server: Server) -> None:
    store = TableStore(server.url)
    assert await store.publish(table(1), 1, number=1)
    server.client().set(keys.CONTROLLER_NUMBER, 2)
    with pytest.raises(InUse, match="controller 1 of rollouts was replaced"):
        await store.publish(table(9), 9, number=1)
    assert await store.current() == table(1)
    # Who is no controller, and the one in office.
    assert await store.publish(table(2), 2)
    assert await store.publish(table(3), 3, number=2)
    await store.stop()
