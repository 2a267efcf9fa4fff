"""Replicas are killed, stopped, drained and turned away: nobody hangs, everybody learns what became of their batch."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from serving.backends.pool_client import PoolClient
from serving.errors import NotReady, ReplicaLost
from serving.inference import Outputs
from tests.integration.tensor_stream.conftest import QUICK, Connect, ReplicaProcess, until
from tests.integration.tensor_stream.doubling_host import CRASHES, KEY, batch, sleeps, values_of

Start = Callable[..., ReplicaProcess]


def flying(client: PoolClient, *values: float) -> list[asyncio.Task[Outputs]]:
    return [asyncio.create_task(client.run(batch(value))) for value in values]


async def lost(tasks: list[asyncio.Task[Outputs]]) -> list[bool]:
    """Whether each one may have been running; all have to be lost."""
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, ReplicaLost) for result in results), results
    return [isinstance(result, ReplicaLost) and result.started for result in results]


async def test_only_the_oldest_batch_of_a_killed_replica_may_have_started(replica: Start, connect: Connect) -> None:
    doomed = replica()
    client = await connect(doomed.address)
    tasks = flying(client, sleeps(5.0), 2, 3)
    await until(lambda: len(doomed.runs) == 1)
    doomed.signal(signal.SIGKILL)
    assert await lost(tasks) == [True, False, False]
    assert doomed.runs == ["1005"]


async def test_what_waits_behind_a_cancelled_batch_that_crashes_has_not_started(
    replica: Start, connect: Connect
) -> None:
    doomed = replica()
    client = await connect(doomed.address)
    leaving, *others = flying(client, sleeps(5.0), 2, 3)
    await until(lambda: len(doomed.runs) == 1)
    leaving.cancel()
    await asyncio.sleep(0.02)
    doomed.signal(signal.SIGKILL)
    assert await lost(others) == [False, False]


async def test_rows_that_crash_their_replica_are_told_so(replica: Start, connect: Connect) -> None:
    client = await connect(replica().address)
    assert await lost(flying(client, CRASHES)) == [True]
    assert client.slots(KEY) == 0
    with pytest.raises(NotReady):
        await client.run(batch(1))


async def test_a_lost_replica_is_found_again_by_itself(replica: Start, connect: Connect) -> None:
    first = replica()
    client = await connect(first.address)
    first.signal(signal.SIGKILL)
    await until(lambda: client.slots(KEY) == 0)
    first.end()
    second = replica(first.address)
    await until(lambda: client.slots(KEY) == 2)
    await client.run(batch(1))
    assert second.runs == ["1"]


async def test_while_one_replica_is_away_the_other_answers(replica: Start, connect: Connect) -> None:
    doomed, other = replica(), replica()
    client = await connect(doomed.address, other.address)
    doomed.signal(signal.SIGKILL)
    await until(lambda: client.slots(KEY) == 2)
    for value in range(4):
        await client.run(batch(value))
    assert len(other.runs) == 4


async def test_a_hung_replica_is_given_up_and_taken_back_when_it_wakes(replica: Start, connect: Connect) -> None:
    hung = replica()
    client = await connect(hung.address)
    hung.stop()
    assert await lost(flying(client, 1, 2)) == [True, False]
    assert client.slots(KEY) == 0
    hung.signal(signal.SIGCONT)
    await until(lambda: client.slots(KEY) == 2)
    assert values_of((await client.run(batch(3))).tensors) == [6.0]


async def test_a_second_replica_is_asked_where_the_first_is_late_if_the_budget_allows(
    replica: Start, connect: Connect
) -> None:
    hung, other = replica(), replica()
    client = await connect(hung.address, other.address, options=replace(QUICK, hedge_share=0.5, silence_s=30.0))
    hung.stop()
    # The other one is not late itself where it has to wait for a core.
    outputs = await asyncio.gather(*(client.run(replace(batch(value), late_s=0.5)) for value in (1, 2)))
    hung.signal(signal.SIGCONT)
    assert [values_of(each.tensors) for each in outputs] == [[2.0], [4.0]]
    assert client.hedged_batches == 1
    assert client.hedge_wins == 1
    assert client.slots(KEY) == 4, "nobody was given up"


async def test_a_hung_replica_is_given_up_also_when_nothing_was_asked_of_it(replica: Start, connect: Connect) -> None:
    hung = replica()
    client = await connect(hung.address)
    hung.stop()
    await until(lambda: client.slots(KEY) == 0)


async def test_callers_of_a_hung_replica_may_leave_at_once(replica: Start, connect: Connect) -> None:
    hung = replica()
    client = await connect(hung.address, options=replace(QUICK, silence_s=60.0))
    hung.stop()
    for task in flying(client, 1, 2):
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_replica_that_runs_for_longer_than_the_bound_on_silence_is_not_lost(
    replica: Start, connect: Connect
) -> None:
    client = await connect(replica(pulse_s=0.05).address)
    answers = await asyncio.gather(*flying(client, sleeps(1.5), 2))
    assert values_of(answers[1].tensors) == [4.0]


async def test_draining_loses_nothing(replica: Start, connect: Connect) -> None:
    leaving, staying = replica(), replica()
    client = await connect(leaving.address, staying.address)
    answered: list[float] = []

    async def caller(number: int) -> None:
        for step in range(40):
            answered.extend(values_of((await client.run(batch(number, step))).tensors))
            await asyncio.sleep(0.002)

    callers = asyncio.gather(*(caller(number) for number in range(8)))
    slow = asyncio.gather(*(client.run(batch(sleeps(0.1))) for _ in range(4)))
    await asyncio.sleep(0.03)
    leaving.drain()
    await slow
    await callers
    assert len(answered) == 8 * 40 * 2
    assert await asyncio.to_thread(leaving.drained) == "True"
    assert client.slots(KEY) == 2


async def test_a_wrong_secret_is_shown_logged_once_and_tried_again_slowly(
    replica: Start, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    other = replica(secret="another")
    with caplog.at_level(logging.WARNING):
        client = await connect(other.address, wait=False)
        await until(lambda: "refused" in client.replicas()[0].state)
        await asyncio.sleep(1.0)
    assert "the secret is wrong; give gateway and pool the same one" in client.replicas()[0].state
    assert len([record for record in caplog.records if "secret is wrong" in record.getMessage()]) == 1
    with pytest.raises(NotReady):
        await client.run(batch(1))


async def test_a_suspect_runs_while_nothing_else_does(replica: Start, connect: Connect) -> None:
    only = replica()
    client = await connect(only.address)
    before = flying(client, sleeps(0.1), sleeps(0.11))
    await asyncio.sleep(0)
    suspect = asyncio.create_task(client.run(batch(sleeps(0.6), alone=True)))
    await asyncio.sleep(0)
    after = flying(client, 1, 2)
    await asyncio.sleep(0)
    assert [seen.rows for seen in client.replicas()] == [2]
    await asyncio.gather(*before)
    await asyncio.sleep(0.02)
    # The two before have been answered, the suspect runs, and nothing else has been sent.
    assert [seen.rows for seen in client.replicas()] == [1]
    await asyncio.gather(suspect, *after)
    assert only.runs[:3] == ["1000.1", "1000.11", "1000.6"]


async def test_while_a_suspect_runs_others_are_answered_elsewhere(replica: Start, connect: Connect) -> None:
    one, two = replica(), replica()
    client = await connect(one.address, two.address)
    suspects = [asyncio.create_task(client.run(batch(sleeps(0.6), alone=True))) for _ in range(3)]
    await asyncio.sleep(0.02)
    for value in range(3):
        await client.run(batch(value))
    assert not any(suspect.done() for suspect in suspects)
    await asyncio.gather(*suspects)
    assert sorted(len(each.runs) for each in (one, two)) == [3, 3]


async def test_a_suspect_that_crashes_takes_nobody_with_it(replica: Start, connect: Connect) -> None:
    one, two = replica(), replica()
    client = await connect(one.address, two.address)
    suspect = asyncio.create_task(client.run(batch(CRASHES, alone=True)))
    await asyncio.sleep(0)
    others = await asyncio.gather(*flying(client, *range(20)))
    assert [values_of(answer.tensors) for answer in others] == [[2.0 * value] for value in range(20)]
    assert await lost([suspect]) == [True]


async def test_a_suspect_that_waits_for_another_gateways_batch_is_not_blamed_for_its_crash(
    replica: Start, connect: Connect
) -> None:
    doomed = replica()
    one, other = await connect(doomed.address), await connect(doomed.address)
    guilty = asyncio.create_task(one.run(batch(sleeps(0.3), CRASHES)))
    await until(lambda: len(doomed.runs) == 1)
    innocent = asyncio.create_task(other.run(batch(1, alone=True)))
    assert await lost([guilty, innocent]) == [True, False]


async def test_a_suspect_meets_another_replica_than_the_one_that_crashed(replica: Start, connect: Connect) -> None:
    crashing, other = replica(), replica()
    client = await connect(crashing.address, other.address)
    tasks = flying(client, sleeps(5.0), sleeps(0.01))
    await until(lambda: len(crashing.runs) == 1)
    crashing.signal(signal.SIGKILL)
    await asyncio.gather(*tasks, return_exceptions=True)
    crashing.end()
    reborn = replica(crashing.address)
    await until(lambda: client.slots(KEY) == 4)
    for _ in range(3):
        await client.run(batch(7, alone=True))
    assert reborn.runs == []


async def test_a_suspect_that_leaves_lets_the_others_in(replica: Start, connect: Connect) -> None:
    client = await connect(replica().address)
    suspect = asyncio.create_task(client.run(batch(sleeps(0.2), alone=True)))
    await asyncio.sleep(0.05)
    others = flying(client, 1)
    suspect.cancel()
    assert values_of((await others[0]).tensors) == [2.0]
