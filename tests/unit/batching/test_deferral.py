"""Rows that wait for others: where that pays, while nobody is late for it, and not beside what cannot join them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching.latency_model import Estimate
from serving.batching.row_queue import QueueLimits, Span
from serving.errors import ServingError
from serving.inference import Answer, Request
from tests.unit.batching.conftest import FakeTimers, batcher_of, turns

DEAR_TO_BEGIN = Estimate(0.02, 0.0001, 1.0)
QUICKER = Estimate(0.002, 0.0001, 1.0)
BULK = 3


class Nobody:
    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Drop it."""


class Bench:
    """A batcher with one slot, whose runs take exactly what is estimated."""

    def __init__(self, estimate: Estimate, longest_wait_s: float, goal_s: float = 10.0) -> None:
        self.timers = FakeTimers()
        limits = QueueLimits(max_rows=64, longest_wait_s=longest_wait_s)
        self.batcher = batcher_of(limits, self.timers.time, estimate, goal_s, timers=self.timers)
        self.batcher.runs(self._run)
        self.batcher.set_slots(1, 1)
        self.asked: list[Request] = []
        self.began: list[tuple[float, int]] = []
        self.under_way = 0

    async def _run(self, spans: list[Span]) -> None:
        rows = sum(span.stop - span.start for span in spans)
        self.began.append((self.timers.now, rows))
        ends = asyncio.Event()
        self.timers.call_at(self.timers.now + self.batcher.pace.estimate.run_s(rows), ends.set)
        self.under_way += 1
        await ends.wait()
        self.under_way -= 1

    def ask(self, timeout_s: float | None = None, rows: int = 1, group: int = 0, priority: int = 0) -> Request:
        request = Request("m", [], Nobody(), self.timers.now)
        request.rows, request.group, request.priority, request.timeout_s = rows, group, priority, timeout_s
        request.deadline_s = 1e6 if timeout_s is None else self.timers.now + timeout_s
        request.holders = (self.batcher,)
        self.batcher.add(request)
        self.asked.append(request)
        return request

    async def learn(self, gap_s: float) -> None:
        """Twenty requests come so far apart; then all is quiet, and one waits for the next from now on."""
        for _ in range(20):
            self.ask()
            await self.timers.pass_on(gap_s)
        await self.finish()
        del self.asked[:], self.began[:]

    async def finish(self) -> None:
        """Until nothing waits and nothing runs."""
        await turns()
        while not self.batcher.idle:
            self.timers.fire()
            await turns()

    def judge(self) -> None:
        """Whoever waits beside a free slot could begin now and be in time."""
        waiting = [each for each in self.asked if each.waiting and each.queued_rows]
        for each in waiting:
            if not self.under_way:
                ends_at = self.timers.now + self.batcher.pace.estimate.late_s(self.batcher.waiting_rows)
                assert ends_at <= self.batcher.gate.due_at(each) + 1e-9, "somebody is late for others"
            elif each.deadline_s <= self.timers.now:
                each.leave()


@pytest.mark.parametrize(("longest_wait_s", "expected"), [(0.0, [1, 1]), (0.05, [2])])
async def test_rows_wait_for_others_where_that_pays_and_only_if_they_may(
    longest_wait_s: float, expected: list[int]
) -> None:
    bench = Bench(DEAR_TO_BEGIN, longest_wait_s)
    await bench.learn(0.001)
    for _ in range(2):
        bench.ask()
        await bench.timers.pass_on(0.001)
    await bench.timers.pass_on(0.1)
    assert [rows for _, rows in bench.began] == expected


async def test_one_that_is_due_earlier_ends_the_wait_of_those_who_have_time() -> None:
    bench = Bench(QUICKER, 0.05)
    await bench.learn(0.0015)
    bench.ask()
    await bench.timers.pass_on(0.001)
    assert bench.began == []
    now = bench.timers.now
    bench.ask(timeout_s=0.003)
    await turns()
    assert bench.began == [(now, 2)]
    await bench.finish()


async def test_those_who_have_time_wait_on() -> None:
    bench = Bench(QUICKER, 0.05)
    await bench.learn(0.0015)
    since = bench.timers.now
    bench.ask()
    await bench.timers.pass_on(0.001)
    bench.ask(timeout_s=0.01)
    await bench.timers.pass_on(0.1)
    assert [rows for _, rows in bench.began] == [2]
    assert bench.began[0][0] > since + 0.002


async def test_rows_that_cannot_run_together_wait_for_nothing() -> None:
    bench = Bench(DEAR_TO_BEGIN, 0.05)
    await bench.learn(0.001)
    bench.ask()
    await turns()
    assert bench.began == []
    bench.ask(group=1, priority=BULK)
    await turns()
    assert [rows for _, rows in bench.began] == [1]
    await bench.finish()


async def test_rows_that_a_lost_replica_never_began_wait_for_nobody() -> None:
    bench = Bench(DEAR_TO_BEGIN, 0.05)
    await bench.learn(0.001)
    waiting = bench.ask()
    await bench.timers.pass_on(0.05)
    # As it was when the batch was taken, and its run is over by now.
    back = Span(waiting, 0, 1)
    del bench.began[:]
    bench.batcher.put_back([back])
    await turns()
    assert [rows for _, rows in bench.began] == [1]
    await bench.finish()


async def test_the_wait_is_part_of_what_is_predicted() -> None:
    bench = Bench(DEAR_TO_BEGIN, 0.05)
    await bench.learn(0.001)
    bench.ask()
    await turns()
    told = bench.ask(timeout_s=1.0)
    await turns()
    assert bench.began == []
    late_s = DEAR_TO_BEGIN.late_s(2)
    assert late_s < told.predicted_s <= late_s + 0.05
    await bench.finish()


ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0002, 0.001, 0.004, 0.03]),
        st.sampled_from([None, None, 0.003, 0.005, 0.025, 0.08]),
        st.integers(1, 5),
        st.integers(0, 1),
        st.sampled_from([0, 0, 1, BULK]),
    ),
    min_size=2,
    max_size=20,
)


@settings(max_examples=200)
@given(ARRIVALS, st.sampled_from([(QUICKER, 0.001), (DEAR_TO_BEGIN, 0.015)]), st.sampled_from([0.002, 0.05]))
def test_nobody_is_late_for_those_who_wait_for_others(
    arrivals: list[tuple[float, float | None, int, int, int]], model: tuple[Estimate, float], longest_wait_s: float
) -> None:
    async def play() -> None:
        estimate, gap_s = model
        bench = Bench(estimate, longest_wait_s, goal_s=0.1)
        await bench.learn(gap_s)
        for gap_s, timeout_s, rows, group, priority in arrivals:
            await bench.timers.pass_on(gap_s, bench.judge)
            bench.ask(timeout_s, rows, group, priority)
        await bench.timers.pass_on(10.0, bench.judge)
        assert not bench.batcher.waiting_rows

    asyncio.run(play())
