"""A second attempt: made once the first is late, within its budget, and whichever answers first counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.backends.hedging import Attempt, HedgeBudget, hedged
from serving.errors import ModelFailed, NotReady, ReplicaLost, ServingError
from serving.inference import Outputs

FIRST, SECOND = Outputs(()), Outputs(())
NEVER = 60.0


class Replica:
    """Answers when told to; `ended` says that it was called back."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._answer: asyncio.Future[Outputs] = asyncio.get_running_loop().create_future()
        self.asked = 0
        self.ended = False

    async def run(self) -> Outputs:
        self.asked += 1
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.ended = True
            raise

    def answers(self) -> None:
        self._answer.set_result(self._outputs)

    def fails(self, error: ServingError) -> None:
        self._answer.set_exception(error)


def always(replica: Replica) -> Callable[[], Attempt | None]:
    return lambda: replica.run


async def some_turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def both_asked(first: Replica, second: Replica) -> asyncio.Task[Outputs]:
    task = asyncio.create_task(hedged(first.run, always(second), 0.0))
    await asyncio.sleep(0.01)
    await some_turns()
    assert (first.asked, second.asked) == (1, 1)
    return task


async def test_an_answer_in_time_is_never_asked_for_twice() -> None:
    first, second = Replica(FIRST), Replica(SECOND)
    task = asyncio.create_task(hedged(first.run, always(second), NEVER))
    await some_turns()
    first.answers()
    assert await task is FIRST
    assert second.asked == 0


@pytest.mark.parametrize("second_wins", [True, False])
async def test_whichever_answers_first_counts_and_the_other_is_called_back(*, second_wins: bool) -> None:
    first, second = Replica(FIRST), Replica(SECOND)
    task = await both_asked(first, second)
    winner, loser = (second, first) if second_wins else (first, second)
    winner.answers()
    assert await task is (SECOND if second_wins else FIRST)
    assert loser.ended


async def test_a_replica_that_goes_away_costs_nothing_while_the_other_works() -> None:
    first, second = Replica(FIRST), Replica(SECOND)
    task = await both_asked(first, second)
    first.fails(ReplicaLost("gone", started=False))
    await some_turns()
    assert not task.done()
    second.answers()
    assert await task is SECOND


async def test_an_answer_counts_also_where_the_other_replica_goes_away_in_the_same_turn() -> None:
    for _ in range(20):
        first, second = Replica(FIRST), Replica(SECOND)
        task = await both_asked(first, second)
        first.fails(NotReady("gone"))
        second.answers()
        assert await task is SECOND


@pytest.mark.parametrize("error", [ModelFailed("no"), ReplicaLost("crashed", started=True)])
async def test_what_is_the_fault_of_the_rows_is_told_at_once(error: ServingError) -> None:
    first, second = Replica(FIRST), Replica(SECOND)
    task = await both_asked(first, second)
    second.fails(error)
    with pytest.raises(type(error)):
        await task
    assert first.ended


async def test_where_both_go_away_the_last_one_is_told() -> None:
    first, second = Replica(FIRST), Replica(SECOND)
    task = await both_asked(first, second)
    first.fails(NotReady("first"))
    await some_turns()
    second.fails(NotReady("second"))
    with pytest.raises(NotReady, match="second"):
        await task


async def test_who_leaves_calls_both_back() -> None:
    first, second = Replica(FIRST), Replica(SECOND)
    task = await both_asked(first, second)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert first.ended
    assert second.ended


async def test_without_another_replica_the_first_is_waited_for() -> None:
    first = Replica(FIRST)
    task = asyncio.create_task(hedged(first.run, lambda: None, 0.0))
    await asyncio.sleep(0.01)
    first.answers()
    assert await task is FIRST


@given(st.floats(0.001, 0.2), st.lists(st.booleans(), max_size=500))
def test_second_attempts_stay_within_their_share(share: float, late: list[bool]) -> None:
    budget = HedgeBudget(share)
    made = 0
    for sent, one in enumerate(late, 1):
        budget.earn()
        made += one and budget.spend()
        assert made <= 1 + sent * share + 1e-6
