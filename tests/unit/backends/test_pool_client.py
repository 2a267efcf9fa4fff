"""The choice among a pool's connections, over one connection that is driven frame by frame."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from serving.backends.members import StaticMembers
from serving.backends.pool_client import PoolClient
from serving.backends.pool_options import PoolOptions
from serving.inference import VersionKey
from serving.wire.catalogue import Catalogue, encode_catalogue
from serving.wire.frame import PING, PONG, RUN, encode
from serving.wire.waits_frame import decode_waits
from tests.unit.backends.test_replica_connection import CATALOGUE, KEY, SECRET, Wire, batch, result


def client_of(wire: Wire) -> PoolClient:
    client = PoolClient("p", StaticMembers(), SECRET, clock=lambda: 100.0)
    # The connection tells this client instead of the wire that it may look again.
    wire.connection._opening = replace(wire.connection._opening, answered=client._room.wake)
    client._hosting = {KEY: [wire.connection]}
    return client


async def test_suspects_that_follow_each_other_do_not_keep_the_replica_from_everybody_else() -> None:
    wire = Wire()
    wire.shake()
    client = client_of(wire)
    ran: list[str] = []

    async def suspects() -> None:
        for _ in range(5):
            await client.run(replace(batch(1), alone=True))
            ran.append("suspect")

    async def other() -> None:
        await client.run(batch(1))
        ran.append("other")

    tasks = [asyncio.create_task(suspects()), asyncio.create_task(other())]
    for _ in range(100):
        await asyncio.sleep(0)
        for kind, number in wire.sent():
            assert kind == RUN
            wire.says(result(number, 1.0))
    async with asyncio.timeout(1):
        await asyncio.gather(*tasks)
    assert ran.index("other") <= 1
    assert ran.count("suspect") == 5


async def test_a_suspect_runs_when_nothing_else_does() -> None:
    wire = Wire()
    wire.shake()
    client = client_of(wire)
    before = asyncio.create_task(client.run(batch(1)))
    await asyncio.sleep(0)
    suspect = asyncio.create_task(client.run(replace(batch(1), alone=True)))
    for _ in range(3):
        await asyncio.sleep(0)
    after = asyncio.create_task(client.run(batch(1)))
    await asyncio.sleep(0)
    ((_, first),) = wire.sent()
    wire.says(result(first, 1.0))
    await before
    await asyncio.sleep(0)
    ((_, second),) = wire.sent()
    assert not suspect.done()
    wire.says(result(second, 1.0))
    await suspect
    await asyncio.sleep(0)
    ((_, third),) = wire.sent()
    wire.says(result(third, 1.0))
    await after


async def test_a_version_that_one_replica_could_not_prove_batchable_is_served_unbatched() -> None:
    proven, doubtful = Wire(), Wire()
    for wire in (proven, doubtful):
        wire.shake()
    hosted = CATALOGUE.slots[4]
    doubtful.says(encode_catalogue(Catalogue({4: replace(hosted, batchable=False)}, {}, settled=True)))
    for order in ((proven, doubtful), (doubtful, proven)):
        client = client_of(proven)
        client._replicas = cast("Any", {str(n): SimpleNamespace(connection=w.connection) for n, w in enumerate(order)})
        client._changed()
        assert not client.hosted()[KEY].batchable


async def test_only_versions_that_came_went_or_changed_are_looked_at_unless_replicas_do() -> None:
    wires = (Wire(), Wire())
    hosted = CATALOGUE.slots[4]
    others = {number: replace(hosted, key=VersionKey(hosted.key.model, number)) for number in range(10, 40)}
    client = PoolClient("p", StaticMembers(), SECRET)
    seen: list[VersionKey | None] = []
    client.on_change(seen.append)
    client._replicas = cast(
        "Any", {str(n): SimpleNamespace(connection=wire.connection) for n, wire in enumerate(wires)}
    )

    def told(wire: Wire, catalogue: Catalogue) -> list[VersionKey | None]:
        seen.clear()
        wire.says(encode_catalogue(catalogue))
        client._changed()
        return list(seen)

    for wire in wires:
        wire.shake()
        # With the first catalogue a replica comes.
        assert told(wire, Catalogue(others, {}, settled=True)) == [None]
    assert told(wires[0], Catalogue({**others, 4: hosted}, {}, settled=True)) == [hosted.key]
    # By the other one, too: it has more slots now.
    assert told(wires[1], Catalogue({**others, 4: hosted}, {}, settled=True)) == [hosted.key]
    doubtful = {**others, 4: replace(hosted, batchable=False)}
    assert told(wires[1], Catalogue(doubtful, {}, settled=True)) == [hosted.key]
    # Who runs more at once has more slots for every version.
    assert told(wires[1], Catalogue({**others, 4: hosted}, {}, settled=True, runs=3)) == [None]
    assert told(wires[1], Catalogue({}, {}, settled=True, runs=3)) == [None]
    # What it could not load is told as well.
    assert told(wires[1], Catalogue({}, {hosted.key: "no"}, settled=True, runs=3)) == [None]


async def test_every_replica_is_told_of_those_who_wait_once_a_second() -> None:
    wire = Wire()
    wire.shake()
    client = client_of(wire)
    client._replicas = {"r1": cast("Any", SimpleNamespace(connection=wire.connection))}
    notes = client.waits()
    told = []
    for _ in range(12):
        notes.note(0.02, 0.04, 0.05, 3)
        client._tell()
        for frame in wire.frames():
            assert frame.kind == PING
            told.append(decode_waits(frame))
        wire.says(encode(PONG))
    # A tick is a quarter of a second.
    assert [waits and waits[:3] for waits in told] == [pytest.approx((0.02, 0.04, 0.05))] * 3


async def test_a_replica_that_reads_slowly_is_told_nothing_more() -> None:
    wire = Wire()
    wire.shake()
    wire.connection.pause_writing()
    wire.connection.tell(encode(PING))
    assert wire.sent() == []
    wire.connection.resume_writing()
    wire.connection.tell(encode(PING))
    assert wire.sent() == [(PING, 0)]


async def test_a_replica_that_is_told_and_does_not_answer_is_given_up() -> None:
    wire = Wire()
    wire.shake()
    for _ in range(20):
        wire.connection.tell(encode(PING))
        wire.connection.tick()
        wire.says(encode(PONG))
    assert not wire.given_up()
    wire.connection.tell(encode(PING))
    for _ in range(20):
        wire.connection.tick()
    assert wire.given_up()


@pytest.mark.parametrize(("configured", "told", "runs"), [(0, 3, 3), (0, 0, 1), (2, 3, 2), (2, 0, 2)])
async def test_a_replica_runs_as_many_batches_as_is_configured_and_else_as_many_as_it_says(
    configured: int, told: int, runs: int
) -> None:
    wire = Wire()
    wire.shake()
    wire.says(encode_catalogue(replace(CATALOGUE, runs=told)))
    client = PoolClient("p", StaticMembers(), SECRET, PoolOptions(runs_per_replica=configured))
    client._hosting = {KEY: [wire.connection, wire.connection]}
    # One more is on its way to each.
    assert (client.servers(KEY), client.slots(KEY)) == (2 * runs, 2 * runs + 2)
