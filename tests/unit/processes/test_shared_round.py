"""Rounds are shared by those who asked before they began, and by nobody else."""

from __future__ import annotations

import asyncio

import pytest

from serving.processes.shared_round import SharedRound


class Work:
    def __init__(self) -> None:
        self.began = 0
        self.gate = asyncio.Event()
        self.fails = False

    async def __call__(self) -> int:
        self.began += 1
        number = self.began
        await self.gate.wait()
        if self.fails:
            raise ZeroDivisionError
        return number


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_during_a_round_shares_the_next_one() -> None:
    work = Work()
    shared = SharedRound(work)
    first = asyncio.create_task(shared())
    await turns()
    later = [asyncio.create_task(shared()) for _ in range(100)]
    await turns()
    assert work.began == 1
    work.gate.set()
    assert await first == 1
    assert {await one for one in later} == {2}
    assert (work.began, await shared()) == (2, 3)


async def test_one_who_gives_up_leaves_the_round_to_the_others() -> None:
    work = Work()
    shared = SharedRound(work)
    leaving, staying = asyncio.create_task(shared()), asyncio.create_task(shared())
    await turns()
    leaving.cancel()
    await turns()
    work.gate.set()
    assert await staying == 1


async def test_a_round_that_fails_fails_those_who_shared_it_and_the_next_one_runs() -> None:
    work = Work()
    shared = SharedRound(work)
    both = [asyncio.create_task(shared()) for _ in range(2)]
    await turns()
    work.fails = True
    work.gate.set()
    for one in both:
        with pytest.raises(ZeroDivisionError):
            await one
    work.fails = False
    assert await shared() == 2
