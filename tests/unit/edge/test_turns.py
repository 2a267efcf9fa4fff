"""Large work in slices: others have their turn in between, and nobody's end is another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator

import pytest

from serving.edge.turns import Turns
from serving.errors import BadRequest, ModelFailed, ServingError


class Clock:
    """Each look at it is a millisecond later."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class Log:
    """What happened, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def job(self, name: str, steps: int, error: Exception | None = None) -> Generator[None, None, Callable[[], None]]:
        for step in range(steps):
            self.events.append(f"{name}{step}")
            yield
        if error is not None:
            raise error
        return lambda: self.events.append(f"{name} done")

    def failed(self, error: ServingError) -> None:
        self.events.append(f"{type(error).__name__}: {error.message}")


def never() -> bool:
    return False


async def finish(log: Log, events: int) -> None:
    for _ in range(100):
        await asyncio.sleep(0)
        if len(log.events) >= events:
            return


async def test_jobs_take_turns_so_that_a_large_one_holds_up_a_small_one_by_one_step() -> None:
    log, turns = Log(), Turns(Clock())
    turns.add(log.job("a", 4), log.failed, never)
    turns.add(log.job("b", 1), log.failed, never)
    assert log.events == []
    await finish(log, 7)
    assert log.events == ["a0", "b0", "a1", "b done", "a2", "a3", "a done"]


async def test_a_turn_ends_after_its_time_and_the_loop_goes_on() -> None:
    log, turns = Log(), Turns(Clock())
    turns.add(log.job("a", 50), log.failed, never)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert 0 < len(log.events) < 10
    await finish(log, 51)
    assert log.events[-1] == "a done"


async def test_one_that_fails_is_told_so_and_the_others_go_on() -> None:
    log, turns = Log(), Turns(Clock())
    turns.add(log.job("a", 1, BadRequest("no")), log.failed, never)
    turns.add(log.job("b", 1, ValueError("a defect")), log.failed, never)
    turns.add(log.job("c", 1), log.failed, never)
    await finish(log, 6)
    assert "BadRequest: no" in log.events
    assert any(event.startswith(ModelFailed.__name__) for event in log.events)
    assert "c done" in log.events


@pytest.mark.parametrize("told", [True, False])
async def test_one_whose_end_fails_is_told_so_and_the_others_go_on(*, told: bool) -> None:
    log, turns = Log(), Turns(Clock())

    def broken() -> None:
        raise ZeroDivisionError

    def ended_badly() -> Generator[None, None, Callable[[], None]]:
        yield
        return broken

    def failed(error: ServingError) -> None:
        log.failed(error)
        if not told:
            raise ZeroDivisionError

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    turns.add(ended_badly(), failed, never)
    turns.add(log.job("a", 30), log.failed, never)
    await finish(log, 32)
    assert [event for event in log.events if not event.startswith("a")] == [
        "ModelFailed: the gateway failed on this request; its log says why"
    ]
    assert log.events[-1] == "a done"
    turns.add(log.job("b", 1), log.failed, never)
    await finish(log, 34)
    assert log.events[-1] == "b done"


async def test_one_that_nobody_waits_for_is_dropped() -> None:
    log, turns = Log(), Turns(Clock())
    gone = False
    turns.add(log.job("a", 50), log.failed, lambda: gone)
    turns.add(log.job("b", 50), log.failed, never)
    await finish(log, 6)
    gone = True
    seen = [event for event in log.events if event.startswith("a")]
    await finish(log, 51 + len(seen))
    assert [event for event in log.events if event.startswith("a")] == seen
    assert log.events[-1] == "b done"
    turns.add(log.job("c", 1), log.failed, never)
    await finish(log, len(log.events) + 2)
    assert log.events[-1] == "c done"


async def test_one_whose_end_adds_another_is_followed_by_it() -> None:
    log, turns = Log(), Turns(Clock())

    def chained() -> Generator[None, None, Callable[[], None]]:
        yield
        return lambda: turns.add(log.job("b", 2), log.failed, never)

    turns.add(chained(), log.failed, never)
    await finish(log, 3)
    assert log.events == ["b0", "b1", "b done"]
    turns.add(log.job("c", 1), log.failed, never)
    await finish(log, 5)
    assert log.events[3:] == ["c0", "c done"]
