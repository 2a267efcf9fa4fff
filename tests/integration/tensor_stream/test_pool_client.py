"""The gateway's end against real replicas in processes of their own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from serving.backends.members import StaticMembers
from serving.backends.pool_client import PoolClient
from serving.errors import DeadlineExceeded, ModelFailed, NotReady, Overloaded, TooLarge
from serving.inference import Outputs
from serving.state.member import Member
from tests.integration.tensor_stream.conftest import QUICK, SECRET, Connect, ReplicaProcess, until
from tests.integration.tensor_stream.doubling_host import (
    FAILS,
    KEY,
    SHORT,
    batch,
    sleeps,
    values_of,
    wide_batch,
)

Start = Callable[..., ReplicaProcess]
# For replicas that stand still and are not to be given up for it, however long that takes.
PATIENT = replace(QUICK, silence_s=30.0)


def doubled(outputs: Outputs) -> list[float]:
    return values_of(outputs.tensors)


@pytest.mark.parametrize("address", [None, "tcp:127.0.0.1:0"])
async def test_rows_come_back_in_order_over_both_kinds_of_socket(
    replica: Start, connect: Connect, address: str | None
) -> None:
    client = await connect(replica(address).address)
    many = [client.run(batch(*range(start, start + 5))) for start in range(0, 500, 5)]
    answers = await asyncio.gather(*many)
    assert [value for answer in answers for value in doubled(answer)] == [2.0 * value for value in range(500)]


async def test_a_failing_batch_fails_alone(replica: Start, connect: Connect) -> None:
    client = await connect(replica().address)
    results = await asyncio.gather(
        client.run(batch(1)),
        client.run(batch(FAILS)),
        client.run(batch(SHORT, 2)),
        client.run(batch(4)),
        return_exceptions=True,
    )
    assert isinstance(results[1], ModelFailed)
    assert isinstance(results[2], ModelFailed)
    assert "answered 2 rows" in str(results[2])
    assert [doubled(result) for result in results if isinstance(result, Outputs)] == [[2.0], [8.0]]


async def test_two_replicas_share_what_is_asked_at_once(replica: Start, connect: Connect) -> None:
    one, two = replica(), replica()
    client = await connect(one.address, two.address)
    await asyncio.gather(*(client.run(batch(sleeps(0.05))) for _ in range(4)))
    assert (len(one.runs), len(two.runs)) == (2, 2)


async def test_small_batches_avoid_the_replica_that_has_a_large_one(replica: Start, connect: Connect) -> None:
    one, two = replica(), replica()
    client = await connect(one.address, two.address)
    large = asyncio.create_task(client.run(batch(sleeps(1.0), *range(20))))
    await asyncio.sleep(0)
    for value in range(5):
        await client.run(batch(value))
    await large
    assert sorted((len(one.runs), len(two.runs))) == [1, 5]


async def test_a_batch_that_is_cancelled_before_it_starts_does_not_run(replica: Start, connect: Connect) -> None:
    stopped = replica()
    client = await connect(stopped.address, options=PATIENT)
    stopped.stop()
    leaving = asyncio.create_task(client.run(batch(1)))
    staying = asyncio.create_task(client.run(batch(2)))
    await asyncio.sleep(0.05)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    stopped.signal(signal.SIGCONT)
    assert doubled(await staying) == [4.0]
    assert stopped.runs == ["2"]


async def test_a_batch_that_is_cancelled_behind_one_that_runs_does_not_run(replica: Start, connect: Connect) -> None:
    busy = replica()
    client = await connect(busy.address)
    running = asyncio.create_task(client.run(batch(sleeps(0.5))))
    leaving = asyncio.create_task(client.run(batch(2)))
    await until(lambda: len(busy.runs) == 1)
    leaving.cancel()
    await running
    await client.run(batch(3))
    assert busy.runs == ["1000.5", "3"]


async def test_a_batch_whose_time_is_up_before_it_starts_does_not_run(replica: Start, connect: Connect) -> None:
    busy = replica()
    client = await connect(busy.address, options=PATIENT)
    busy.stop()
    running = asyncio.create_task(client.run(batch(sleeps(0.3))))
    late = asyncio.create_task(client.run(batch(2, within_s=0.2)))
    await asyncio.sleep(0.02)
    # They are read together: its time counts from when it is read, and its caller does not cancel.
    busy.signal(signal.SIGCONT)
    await running
    with pytest.raises(DeadlineExceeded, match="until its time was up"):
        await late
    assert busy.runs == ["1000.3"]


@pytest.mark.parametrize("size", [10, 65_536 - 16 - 16 - 24, 70_000, 200_000])
async def test_a_cancel_that_arrived_with_a_large_batch_prevents_the_run(
    replica: Start, connect: Connect, size: int
) -> None:
    stopped = replica()
    client = await connect(stopped.address, options=PATIENT)
    stopped.stop()
    leaving = asyncio.create_task(client.run(wide_batch(size)))
    await asyncio.sleep(0.05)
    leaving.cancel()
    await asyncio.sleep(0.05)
    stopped.signal(signal.SIGCONT)
    await client.run(batch(1))
    assert stopped.runs == ["1"]


async def test_rows_are_released_when_their_batch_is_answered_or_cancelled(replica: Start, connect: Connect) -> None:
    client = await connect(replica().address)
    leaving = asyncio.create_task(client.run(batch(sleeps(0.1), 2, 3)))
    await asyncio.sleep(0)
    assert [seen.rows for seen in client.replicas()] == [3]
    leaving.cancel()
    await until(lambda: [seen.rows for seen in client.replicas()] == [0])


async def test_frames_larger_than_every_buffer_come_back_whole(replica: Start, connect: Connect) -> None:
    client = await connect(replica().address, replica("tcp:127.0.0.1:0").address)
    answers = await asyncio.gather(*(client.run(wide_batch(size)) for size in (3_000_000, 65_536, 4_095, 70_001, 1)))
    assert [len(answer.tensors[0].data) for answer in answers] == [3_000_000, 65_536, 4_095, 70_001, 1]


async def test_what_is_over_the_pools_limit_is_refused_here_and_harms_nothing(replica: Start, connect: Connect) -> None:
    client = await connect(replica(frame_bytes=100_000).address)
    with pytest.raises(TooLarge, match="100000"):
        await client.run(wide_batch(100_001))
    assert doubled(await client.run(batch(1))) == [2.0]


async def test_an_unknown_version_is_not_ready(replica: Start, connect: Connect) -> None:
    client = await connect(replica().address)
    unknown = replace(batch(1), key=KEY._replace(version=2))
    assert client.slots(unknown.key) == 0
    with pytest.raises(NotReady, match="double/2"):
        await client.run(unknown)


async def test_a_replica_that_reads_slowly_is_given_no_more(replica: Start, connect: Connect) -> None:
    stopped = replica()
    client = await connect(stopped.address, options=replace(PATIENT, write_bytes=65_536))
    stopped.stop()
    large = asyncio.create_task(client.run(wide_batch(2_000_000)))
    await asyncio.sleep(0.02)
    with pytest.raises(Overloaded):
        await client.run(batch(1, within_s=0.1))
    waiting = asyncio.create_task(client.run(batch(2)))
    stopped.signal(signal.SIGCONT)
    assert len((await large).tensors[0].data) == 2_000_000
    assert doubled(await waiting) == [4.0]


async def test_stopping_fails_what_is_in_flight_and_hosts_nothing(replica: Start, connect: Connect) -> None:
    client = await connect(replica().address)
    running = asyncio.create_task(client.run(batch(sleeps(5.0))))
    await asyncio.sleep(0.02)
    await client.stop()
    with pytest.raises(NotReady, match="stopping"):
        await running
    assert client.hosted() == {}
    assert client.slots(KEY) == 0


async def test_a_member_that_leaves_answers_what_it_has(replica: Start) -> None:
    one, two = replica(), replica()
    members = StaticMembers([Member("one", one.address), Member("two", two.address)])
    client = PoolClient("default", members, SECRET.encode(), QUICK)
    await client.start()
    await until(lambda: client.slots(KEY) == 4)
    running = [asyncio.create_task(client.run(batch(sleeps(0.2)))) for _ in range(2)]
    await asyncio.sleep(0)
    members.replace([Member("two", two.address)])
    assert client.slots(KEY) == 2
    for each in running:
        await each
    assert (len(one.runs), len(two.runs)) == (1, 1)
    for _ in range(3):
        await client.run(batch(1))
    assert len(one.runs) == 1
    await client.stop()


async def test_a_member_that_moves_is_followed(replica: Start) -> None:
    one, two = replica(), replica()
    members = StaticMembers([Member("r", one.address)])
    client = PoolClient("default", members, SECRET.encode(), QUICK)
    await client.start()
    await until(lambda: client.slots(KEY) == 2)
    members.replace([Member("r", two.address)])
    await until(lambda: client.slots(KEY) == 2)
    await client.run(batch(1))
    assert (len(one.runs), len(two.runs)) == (0, 1)
    await client.stop()
