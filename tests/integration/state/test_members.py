"""Members of a pool in a real Valkey: followed, kept, and held on to while that server is dead, stopped or empty."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serving.pool.registration import RETRY_S, Registration
from serving.state import keys
from serving.state.connection import OPERATION_S
from serving.state.lease import clear_away, give_up, renew
from serving.state.member import Member
from serving.state.members import Members, PoolMembers
from tests.integration.state.waiting import until
from tests.integration.valkey_server import Server

A = Member("a", "unix:/a")
B = Member("b", "unix:/b")
# What the machine may hold up whoever promises to be there in time.
HELD_UP_S = 5.0


@pytest.fixture
async def followed(server: Server, tmp_path: Path) -> AsyncIterator[PoolMembers]:
    members = Members(server.url, ["default"], tmp_path / "members.json")
    members.start()
    yield members.pool("default")
    await members.stop()


async def test_a_replica_that_registers_is_seen_and_one_that_leaves_is_dropped(
    server: Server, followed: PoolMembers
) -> None:
    changes: list[int] = []
    followed.on_change(lambda: changes.append(len(followed.current())))
    registration = Registration(server.url, "default", lambda: A)
    registration.start()
    await until(lambda: followed.current() == (A,))
    assert await asyncio.to_thread(registration.leave)
    await until(lambda: followed.current() == ())
    assert changes == [1, 0]
    assert server.client().exists(keys.tombstone("default", "a"))


async def test_leases_that_all_run_out_change_nothing(server: Server, followed: PoolMembers) -> None:
    client = server.client()
    renew(client, "default", A)
    renew(client, "default", B)
    await until(lambda: followed.current() == (A, B))
    client.delete(keys.lease("default", "a"), keys.lease("default", "b"), keys.members("default"))
    await asyncio.sleep(2.2)
    assert followed.current() == (A, B)


async def test_an_unlisted_replica_is_dropped_when_its_connection_fails(server: Server, followed: PoolMembers) -> None:
    client = server.client()
    renew(client, "default", A)
    renew(client, "default", B)
    await until(lambda: followed.current() == (A, B))
    followed.failed("b")
    await asyncio.sleep(1.5)
    assert followed.current() == (A, B)
    renew(client, "default", B)
    client.delete(keys.lease("default", "a"))
    assert clear_away(client, "default") == ["a"]
    followed.failed("a")
    await until(lambda: followed.current() == (B,))


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_members_stay_while_the_server_is_away(server: Server, followed: PoolMembers, how: str) -> None:
    renew(server.client(), "default", A)
    await until(lambda: followed.current() == (A,))
    if how == "killed":
        server.kill()
    else:
        server.stop()
    followed.failed("a")
    await asyncio.sleep(2.5)
    assert followed.current() == (A,)


async def test_an_empty_server_is_filled_again_within_three_seconds(server: Server, followed: PoolMembers) -> None:
    registration = Registration(server.url, "default", lambda: A)
    registration.start()
    await until(lambda: followed.current() == (A,))
    server.kill()
    await asyncio.sleep(1)
    server.start()
    client = server.client()
    await until(lambda: bool(client.hexists(keys.members("default"), "a")), within_s=3 + HELD_UP_S)
    assert client.exists(keys.lease("default", "a"))
    assert followed.current() == (A,)
    await asyncio.to_thread(registration.leave)
    # The schedule itself: a look that failed is over, and so is the pause after it, and the next one is done.
    assert 2 * OPERATION_S + RETRY_S < 3


async def test_a_gateway_that_starts_without_the_server_begins_with_the_members_it_knew(
    server: Server, tmp_path: Path
) -> None:
    first = Members(server.url, ["default"], tmp_path / "kept.json")
    first.start()
    renew(server.client(), "default", A)
    await until(lambda: first.pool("default").current() == (A,))
    await first.stop()
    server.kill()
    second = Members(server.url, ["default"], tmp_path / "kept.json")
    second.start()
    assert second.pool("default").current() == (A,)
    await asyncio.sleep(0.5)
    assert second.pool("default").current() == (A,)
    await second.stop()


async def test_a_file_that_cannot_be_read_is_as_good_as_none(server: Server, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text('{"pools": {"default": ["nonsense"]}}')
    members = Members(server.url, ["default"], tmp_path / "kept.json")
    members.start()
    assert members.pool("default").current() == ()
    renew(server.client(), "default", A)
    await until(lambda: members.pool("default").current() == (A,))
    await members.stop()


async def test_a_record_nobody_can_read_hides_no_other(server: Server, followed: PoolMembers) -> None:
    server.client().hset(keys.members("default"), "z", '{"format":99}')
    renew(server.client(), "default", A)
    await until(lambda: followed.current() == (A,))


async def test_a_draining_member_gets_nothing_new(server: Server, followed: PoolMembers) -> None:
    renew(server.client(), "default", A)
    await until(lambda: followed.current() == (A,))
    renew(server.client(), "default", Member("a", "unix:/a", "draining"))
    await until(lambda: followed.current() == ())


async def test_a_member_that_gave_up_is_gone_even_if_listed_by_an_older_look(server: Server) -> None:
    client = server.client()
    renew(client, "default", A)
    give_up(client, "default", "a")
    assert client.hgetall(keys.members("default")) == {}
    assert not client.exists(keys.lease("default", "a"))
    assert 0 < int(client.pttl(keys.tombstone("default", "a"))) <= keys.TOMBSTONE_MS


async def test_a_replica_that_ends_while_the_server_is_stopped_is_not_held_up(server: Server) -> None:
    registration = Registration(server.url, "default", lambda: A)
    registration.start()
    await until(lambda: bool(server.client().exists(keys.lease("default", "a"))))
    server.stop()
    async with asyncio.timeout(10):
        assert not await asyncio.to_thread(registration.leave)


async def test_a_registration_clears_away_the_dead_only_when_the_server_was_well_long_enough(server: Server) -> None:
    now = 0.0
    client = server.client()
    renew(client, "default", B)
    client.delete(keys.lease("default", "b"))
    registration = Registration(server.url, "default", lambda: A, lambda: now)
    registration.start()
    await until(lambda: bool(client.hexists(keys.members("default"), "a")))
    registration.changed()
    await asyncio.sleep(0.3)
    assert client.hexists(keys.members("default"), "b")

    def cleared() -> bool:
        # As often as it takes: a look that takes too long counts as a server that is not well.
        nonlocal now
        now += 13.0
        registration.changed()
        return not client.hexists(keys.members("default"), "b")

    await until(cleared)
    assert client.hexists(keys.members("default"), "a")
    await asyncio.to_thread(registration.leave)
