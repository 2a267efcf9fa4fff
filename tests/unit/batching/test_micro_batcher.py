"""The batcher over runs that a test controls: slots, wake-ups, and the loop's time."""

from __future__ import annotations

import asyncio

import pytest

from serving.backends.waiting import WaitNotes
from serving.batching.latency_model import Estimate
from serving.batching.row_queue import QueueLimits, Span
from serving.errors import ServingError
from serving.inference import Answer, Request
from serving.wire.waits_frame import Waits
from tests.unit.batching.conftest import batcher_of


class Nobody:
    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Drop it."""


class Keeping:
    def __init__(self) -> None:
        self.outcomes: list[Answer | ServingError] = []

    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        self.outcomes.append(outcome)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def request() -> Request:
    made = Request("m", [], Nobody(), 0.0)
    made.deadline_s = 1e9
    return made


async def test_runs_that_never_suspend_leave_the_loop_to_others_in_between() -> None:
    clock = Clock()
    batcher = batcher_of(QueueLimits(max_rows=1), clock)
    runs = 0

    async def run(spans: list[Span]) -> None:
        nonlocal runs
        del spans
        runs += 1
        clock.now += 0.0015

    batcher.runs(run)
    batcher.set_slots(1, 1)
    for _ in range(20):
        batcher.add(request())
    most = 0
    while not batcher.idle:
        before = runs
        await asyncio.sleep(0)
        most = max(most, runs - before)
    assert runs == 20
    assert most == 2


async def test_slots_that_come_and_go_strand_nobody() -> None:
    batcher = batcher_of(QueueLimits(max_rows=1), Clock())
    running = most = 0
    ran: list[Request] = []

    async def run(spans: list[Span]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        ran.extend(span.request for span in spans)

    batcher.runs(run)
    batcher.set_slots(4, 4)
    asked = [request() for _ in range(60)]
    for number, each in enumerate(asked):
        batcher.add(each)
        if number % 5 == 0:
            batcher.set_slots(1 + number % 4, 1 + number % 4)
            await asyncio.sleep(0)
    for _ in range(200):
        await asyncio.sleep(0)
    assert batcher.idle
    assert len(ran) == 60
    assert set(ran) == set(asked)
    assert most <= 4


async def test_what_would_be_late_and_what_finds_a_full_queue_have_reasons_of_their_own() -> None:
    clock = Clock()
    # 10 ms a row: after 60 ms the goal of 100 ms leaves no time for five rows that wait, and another one.
    batcher = batcher_of(QueueLimits(max_rows=1, queue_rows=6), clock, Estimate(0.0, 0.01, 1.0), goal_s=0.1)
    hung = asyncio.Event()

    async def run(spans: list[Span]) -> None:
        del spans
        await hung.wait()

    batcher.runs(run)
    batcher.set_slots(1, 1)
    batcher.add(request())
    await asyncio.sleep(0)
    caller = Keeping()
    for now, rows in ((0.0, 5), (0.0, 2), (0.06, 1)):
        clock.now = now
        asked = Request("m", [], caller, 0.0)
        asked.deadline_s = 1e9
        asked.rows = rows
        batcher.add(asked)
    reasons = [outcome.reason for outcome in caller.outcomes if isinstance(outcome, ServingError)]
    assert reasons == ["overloaded", "would_be_late"]
    hung.set()
    await batcher.stop()


async def noted(clock: Clock, *asked: Request, now: float) -> Waits:
    """What is noted of these when a slot is free for them at `now`, 10 ms a row and a goal of 100 ms."""
    notes = WaitNotes()
    limits = QueueLimits(max_rows=1, priority_levels=3, default_priority=2)
    batcher = batcher_of(limits, clock, Estimate(0.0, 0.01, 1.0), goal_s=0.1, waits=notes)
    free = asyncio.Event()

    async def run(spans: list[Span]) -> None:
        del spans
        await free.wait()

    batcher.runs(run)
    batcher.set_slots(1, 1)
    batcher.add(request())
    await asyncio.sleep(0)
    notes.taken()
    for each in asked:
        batcher.add(each)
    clock.now = now
    free.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert batcher.idle
    return notes.taken()


async def test_how_long_rows_waited_is_noted_of_what_a_run_leaves_of_their_goal() -> None:
    assert await noted(Clock(), request(), request(), now=0.05) == pytest.approx((0.05, 0.09, 0.1, 0))


async def test_those_who_may_wait_for_others_call_for_nothing() -> None:
    bulk = request()
    bulk.priority = 3
    assert await noted(Clock(), bulk, now=50.0) == Waits()


async def test_of_those_who_are_refused_for_lack_of_time_the_wait_is_noted_that_they_would_have_had() -> None:
    asked = [request() for _ in range(30)]
    told = await noted(Clock(), *asked, now=0.0)
    # Nine fit into the goal beside the one that runs, and had not waited when they ran; the others would have waited
    # for ten runs.
    assert sum(not each.waiting for each in asked) == 21
    assert told[:3] == pytest.approx((21 * 0.1 / 30, 0.09, 0.1))


async def test_of_those_who_allowed_too_little_themselves_nothing_is_noted() -> None:
    hasty = [request() for _ in range(5)]
    for each in hasty:
        each.timeout_s, each.deadline_s = 0.005, 0.005
    assert await noted(Clock(), *hasty, now=0.0) == Waits()
