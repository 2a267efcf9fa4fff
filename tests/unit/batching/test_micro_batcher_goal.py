"""The batcher against a goal: how large batches are, who is refused, whose turn it is; runs end when a test says so."""

from __future__ import annotations

import asyncio

import pytest

from serving.batching.fair_share import Shares
from serving.batching.latency_model import Estimate
from serving.batching.micro_batcher import MicroBatcher
from serving.batching.row_queue import QueueLimits, Span
from serving.errors import Overloaded, ServingError, WouldBeLate
from serving.inference import Answer, Request
from tests.unit.batching.conftest import batcher_of

TEN_MS_A_ROW = Estimate(0.0, 0.01, 1.0)
BULK = 3


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Kept:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.outcomes: list[Answer | ServingError] = []

    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        self.outcomes.append(outcome)


class Runs:
    """The batches of one batcher: how many rows each has, and the means to end them."""

    def __init__(self, batcher: MicroBatcher) -> None:
        self.rows: list[int] = []
        self.priorities: list[list[int]] = []
        self._ends: list[asyncio.Event] = []
        batcher.runs(self._run)

    async def _run(self, spans: list[Span]) -> None:
        self.rows.append(sum(span.stop - span.start for span in spans))
        self.priorities.append([span.request.priority for span in spans])
        ends = asyncio.Event()
        self._ends.append(ends)
        await ends.wait()

    @property
    def under_way(self) -> int:
        return sum(not ends.is_set() for ends in self._ends)

    async def end(self) -> None:
        """The oldest one ends."""
        next(ends for ends in self._ends if not ends.is_set()).set()
        await turns()

    async def end_all(self) -> None:
        while self.under_way:
            await self.end()


async def turns() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


def ask(
    batcher: MicroBatcher, rows: int = 1, priority: int = 0, timeout_s: float | None = None, at: float = 0.0
) -> Kept:
    caller = Kept()
    request = Request("m", [], caller, at)
    request.rows, request.priority, request.timeout_s = rows, priority, timeout_s
    request.deadline_s = 1e6 if timeout_s is None else timeout_s
    batcher.add(request)
    return caller


async def test_what_would_be_late_is_refused_at_once_and_says_when_to_try_again() -> None:
    batcher = batcher_of(QueueLimits(max_rows=4), Clock(), TEN_MS_A_ROW, goal_s=0.1)
    runs = Runs(batcher)
    batcher.set_slots(1, 1)
    told = [ask(batcher) for _ in range(30)]
    await turns()
    refused = [one.outcomes[0] for one in told if one.outcomes]
    # A tenth of a second for rows of ten milliseconds, the last batch of which counts whole.
    assert 30 - len(refused) == 10
    assert {type(one) for one in refused} == {WouldBeLate}
    assert all(isinstance(one, WouldBeLate) and 0.0 < one.retry_after_s <= 0.1 for one in refused)
    await runs.end_all()
    assert sum(runs.rows) == 10


async def test_nobody_is_refused_where_nothing_runs_or_waits() -> None:
    clock = Clock()
    batcher = batcher_of(QueueLimits(max_rows=4), clock, Estimate(5.0, 5.0, 1.0), goal_s=0.1)
    runs = Runs(batcher)
    batcher.set_slots(1, 1)
    for number in range(3):
        assert ask(batcher).outcomes == []
        await turns()
        assert runs.rows == [1] * (number + 1)
        await runs.end()


async def test_a_version_that_once_ran_slowly_is_tried_again_also_where_others_keep_its_pool_busy() -> None:
    shares = Shares()
    shares.resize(2, 1)
    clock = Clock()
    once_slow = batcher_of(QueueLimits(max_rows=8), clock, Estimate(5.0, 0.0, 1.5), 0.1, shares)
    others = batcher_of(QueueLimits(max_rows=1), clock, Estimate(0.003, 0.0, 1.0), 1e6, shares)
    runs, others_runs = Runs(once_slow), Runs(others)
    for batcher in (once_slow, others):
        batcher.set_slots(2, 1)
    for _ in range(100):
        ask(others)
    await turns()
    told = [ask(once_slow) for _ in range(2)]
    assert [len(one.outcomes) for one in told] == [0, 1]
    clock.now = 0.003
    await others_runs.end()
    assert runs.rows == [1]
    # It took no 5 s, so that its next turn comes soon as well.
    clock.now = 0.004
    await runs.end()
    ask(once_slow, at=clock.now)
    clock.now = 0.007
    await others_runs.end()
    assert runs.rows == [1, 1]
    for batcher, started in ((once_slow, runs), (others, others_runs)):
        batcher.set_slots(0, 0)
        await started.end_all()


async def test_callers_who_say_what_they_allow_are_judged_by_that() -> None:
    batcher = batcher_of(QueueLimits(max_rows=4), Clock(), TEN_MS_A_ROW, goal_s=0.1)
    runs = Runs(batcher)
    batcher.set_slots(1, 1)
    for _ in range(8):
        ask(batcher)
    await turns()
    patient, hurried = ask(batcher, 4, timeout_s=10.0), ask(batcher, timeout_s=0.02)
    assert patient.outcomes == []
    assert isinstance(hurried.outcomes[0], WouldBeLate)
    await runs.end_all()


async def test_batches_are_as_large_as_lets_two_of_them_fit_into_the_goal() -> None:
    batcher = batcher_of(QueueLimits(max_rows=64), Clock(), TEN_MS_A_ROW, goal_s=0.1)
    runs = Runs(batcher)
    batcher.set_slots(1, 1)
    for _ in range(10):
        ask(batcher)
    await turns()
    await runs.end_all()
    assert runs.rows == [5, 5]


async def test_a_request_that_fits_into_a_batch_is_never_split_however_little_time_is_left() -> None:
    batcher = batcher_of(QueueLimits(max_rows=64), Clock(), TEN_MS_A_ROW, goal_s=0.1)
    runs = Runs(batcher)
    batcher.set_slots(1, 1)
    ask(batcher, rows=9)
    await turns()
    await runs.end_all()
    assert runs.rows == [9]


async def test_bulk_fills_no_more_than_half_of_the_queue() -> None:
    batcher = batcher_of(QueueLimits(max_rows=1, queue_rows=10), Clock())
    runs = Runs(batcher)
    batcher.set_slots(1, 1)
    ask(batcher)
    await turns()
    bulk = [ask(batcher, priority=BULK) for _ in range(8)]
    assert [bool(one.outcomes) for one in bulk] == [False] * 5 + [True] * 3
    assert isinstance(bulk[-1].outcomes[0], Overloaded)
    assert [ask(batcher).outcomes for _ in range(5)] == [[]] * 5
    await runs.end_all()


async def test_what_was_learned_of_a_bad_hour_is_unlearned_where_everybody_would_be_refused() -> None:
    clock = Clock()
    batcher = batcher_of(QueueLimits(max_rows=4), clock, Estimate(0.003, 0.0, 1.5), goal_s=0.02)
    runs = Runs(batcher)
    batcher.set_slots(2, 1)
    for _ in range(200):
        batcher.pace.judged(0.01, 1.0)
    ask(batcher, at=clock.now)
    await turns()
    assert isinstance(ask(batcher, at=clock.now).outcomes[0], WouldBeLate)
    for _ in range(2_000):
        await runs.end()
        request = Request("m", [], Kept(), clock.now)
        request.deadline_s = 1e6
        batcher.add(request)
        await asyncio.sleep(0)
        clock.now += 0.003
        if request.predicted_s:
            batcher.pace.judged(request.predicted_s, 0.003)
    assert ask(batcher, at=clock.now).outcomes == []
    assert batcher.pace.drag == pytest.approx(1.0, abs=0.01)
    await runs.end_all()


async def test_a_request_that_finds_nothing_before_it_is_predicted_no_less_than_its_run() -> None:
    clock = Clock()
    batcher = batcher_of(QueueLimits(max_rows=4), clock, Estimate(0.003, 0.0, 1.5), goal_s=0.02)
    runs = Runs(batcher)
    batcher.set_slots(1, 1)
    batcher.pace.judged(0.01, 1.0)
    request = Request("m", [], Kept(), 0.0)
    request.timeout_s = request.deadline_s = 1.0
    batcher.add(request)
    assert request.predicted_s >= 0.003
    await turns()
    await runs.end_all()


async def test_what_bulk_takes_longer_makes_nobody_else_be_refused() -> None:
    batcher = batcher_of(QueueLimits(max_rows=1), Clock(), TEN_MS_A_ROW, goal_s=0.1)
    runs = Runs(batcher)
    batcher.set_slots(1, 1)
    asked = []
    for priority in (0, BULK, 0):
        request = Request("m", [], Kept(), 0.0)
        request.priority, request.timeout_s, request.deadline_s = priority, 30.0, 30.0
        batcher.add(request)
        asked.append(request)
        await turns()
    # What is predicted is held against the time that it took.
    assert [request.predicted_s > 0.0 for request in asked[1:]] == [False, True]
    await runs.end_all()


async def test_bulk_does_not_take_the_last_slot_of_a_pool_and_runs_in_short_batches() -> None:
    shares = Shares()
    shares.resize(2, 1)
    batcher = batcher_of(QueueLimits(max_rows=64), Clock(), Estimate(0.0, 0.00003, 1.0), 0.01, shares)
    runs = Runs(batcher)
    batcher.set_slots(2, 1)
    for _ in range(60):
        ask(batcher, priority=BULK)
    await turns()
    # A tenth of the goal.
    assert runs.rows == [33]
    ask(batcher)
    await turns()
    assert runs.under_way == 2
    # What joins it makes its run a tenth longer at most.
    assert runs.priorities[1] == [0]
    await runs.end_all()
    assert sum(runs.rows) == 61


async def test_two_versions_of_a_pool_take_turns_by_seconds() -> None:
    shares = Shares()
    shares.resize(2, 1)
    limits = QueueLimits(max_rows=1)
    clock = Clock()
    slow = batcher_of(limits, clock, Estimate(0.0015, 0.0, 1.0), 1e6, shares)
    quick = batcher_of(limits, clock, Estimate(0.0005, 0.0, 1.0), 1e6, shares)
    slow_runs, quick_runs = Runs(slow), Runs(quick)
    for batcher in (slow, quick):
        batcher.set_slots(2, 1)
        for _ in range(300):
            ask(batcher)
    await turns()
    for _ in range(100):
        assert slow_runs.under_way + quick_runs.under_way == 2
        clock.now += 0.0015 if slow_runs.under_way else 0.0005
        await (slow_runs if slow_runs.under_way else quick_runs).end()
        if quick_runs.under_way:
            clock.now += 0.0005
            await quick_runs.end()
    assert len(quick_runs.rows) == pytest.approx(3 * len(slow_runs.rows), rel=0.2)
    for batcher, runs in ((slow, slow_runs), (quick, quick_runs)):
        batcher.set_slots(0, 0)
        await runs.end_all()


async def test_a_version_that_had_its_slots_to_itself_does_not_pay_for_it_once_another_comes() -> None:
    shares = Shares()
    shares.resize(2, 1)
    limits = QueueLimits(max_rows=1)
    early, late = (batcher_of(limits, Clock(), Estimate(0.001, 0.0, 1.0), 1e6, shares) for _ in range(2))
    early_runs, late_runs = Runs(early), Runs(late)
    for batcher in (early, late):
        batcher.set_slots(2, 1)
    for _ in range(600):
        ask(early)
    await turns()
    for _ in range(400):
        await early_runs.end()
    for _ in range(150):
        ask(late)
    before = len(early_runs.rows)
    for number in range(200):
        runs = (early_runs, late_runs)[number % 2]
        await (runs if runs.under_way else (late_runs, early_runs)[number % 2]).end()
    assert len(early_runs.rows) - before == pytest.approx(len(late_runs.rows), abs=5)
    for batcher, runs in ((early, early_runs), (late, late_runs)):
        batcher.set_slots(0, 0)
        await runs.end_all()


async def test_a_version_that_turns_out_to_run_long_has_its_turn_among_those_that_do() -> None:
    shares = Shares()
    shares.resize(2, 1)
    limits = QueueLimits(max_rows=1)
    turning, long = (batcher_of(limits, Clock(), Estimate(run_s, 0.0, 1.0), 1e6, shares) for run_s in (0.001, 0.003))
    turning_runs, long_runs = Runs(turning), Runs(long)
    for batcher in (turning, long):
        batcher.set_slots(2, 1)
    for _ in range(400):
        ask(turning)
    await turns()
    await turning_runs.end_all()
    for _ in range(100):
        turning.pace.saw(1, 0.003)
    for _ in range(40):
        ask(long)
        ask(turning)
    await turns()
    before = len(turning_runs.rows)
    for _ in range(20):
        assert long_runs.under_way + turning_runs.under_way == 1
        await (long_runs if long_runs.under_way else turning_runs).end()
    assert len(turning_runs.rows) - before == pytest.approx(10, abs=2)
    for batcher, runs in ((turning, turning_runs), (long, long_runs)):
        batcher.set_slots(0, 0)
        await runs.end_all()
