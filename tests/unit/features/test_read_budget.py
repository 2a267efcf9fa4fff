"""Requests in a hurry: each is told once, when its time is over or before."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ServingError
from serving.features.cached_rows import CachedRows
from serving.features.plan import ReadPlan
from serving.features.read_budget import BudgetOptions, ReadBudgets
from serving.features.store.reading import Found
from serving.features.waiting import Waiting
from serving.inference import Answer, Request
from tests.unit.features import test_features
from tests.unit.features.test_plan import FOUND, INSTANCE
from tests.unit.test_deadline import FakeTimers


class Caller:
    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        raise AssertionError("nobody is answered here")


class Bench:
    def __init__(self, share: float = 0.5, longest_s: float = 1.0) -> None:
        self.timers = FakeTimers()
        self.late: list[tuple[float, Waiting]] = []
        self.budgets = ReadBudgets(BudgetOptions(share, longest_s), self.timers, self._late)

    def waits(self, deadline_s: float) -> Waiting:
        request = Request("late", (), Caller(), 0.0)
        request.deadline_s = deadline_s
        nothing = cast("Any", None)
        return Waiting(request, nothing, nothing, nothing, self.timers.now)

    def _late(self, waiting: Waiting) -> None:
        self.late.append((self.timers.now, waiting))


def test_only_who_has_less_time_than_the_reader_takes_is_watched() -> None:
    bench = Bench()
    assert not bench.budgets.watch(bench.waits(2.0))
    assert bench.budgets.watch(bench.waits(1.999))
    assert len(bench.timers.timers) == 1


def test_who_is_told_in_time_is_not_late_and_nothing_is_left_of_it() -> None:
    bench = Bench()
    waiting = bench.waits(0.5)
    bench.budgets.watch(waiting)
    assert bench.budgets.in_time([waiting]) == [waiting]
    assert bench.budgets.in_time([waiting]) == []
    bench.timers.move_to(2.0)
    assert bench.late == []
    assert bench.timers.timers == []


def test_rows_that_come_too_late_are_not_taken_for_those_that_the_request_waits_for_by_now() -> None:
    bench = Bench()
    first = bench.waits(0.2)
    bench.budgets.watch(first)
    bench.timers.move_to(0.15)
    assert [one for _, one in bench.late] == [first]
    again = first._replace(began=0.15)
    bench.budgets.watch(again)
    assert bench.budgets.in_time([first]) == []
    assert bench.budgets.in_time([again]) == [again]


def test_a_deadline_that_has_passed_is_late_at_once() -> None:
    bench = Bench()
    bench.timers.move_to(3.0)
    waiting = bench.waits(1.0)
    assert bench.budgets.watch(waiting)
    bench.timers.move_to(3.0015)
    assert [one for _, one in bench.late] == [waiting]


def test_one_timer_is_enough_for_many() -> None:
    bench = Bench()
    for number in range(500, 400, -1):
        bench.budgets.watch(bench.waits(number / 1000))
    assert len(bench.timers.timers) == 1


@given(st.lists(st.tuples(st.floats(0.001, 1.9), st.floats(0, 2)), max_size=30))
def test_everybody_is_told_once_and_late_within_a_tick_of_their_share(asked: list[tuple[float, float]]) -> None:
    bench = Bench()
    several = [(bench.waits(left_s), told_s) for left_s, told_s in asked]
    for waiting, _ in several:
        bench.budgets.watch(waiting)
    in_time = []
    for waiting, told_s in sorted(several, key=lambda one: one[1]):
        bench.timers.move_to(max(told_s, bench.timers.now))
        in_time += bench.budgets.in_time([waiting])
    bench.timers.move_to(3.0)
    assert len(in_time) + len(bench.late) == len(asked)
    for at, waiting in bench.late:
        assert waiting not in in_time
        assert at == pytest.approx(waiting.request.deadline_s / 2 + 0.0005, abs=0.00051)


class HurriedBench(test_features.Bench):
    """Half of a request's time is for its rows, where that is less than a second; it has `left_s`, from 0.0 on."""

    def __init__(self, kept: Found | None = None) -> None:
        super().__init__()
        self.time = 0.0
        self.timers = FakeTimers()
        self.features.keep_time(BudgetOptions(0.5, 1.0), self.timers, lambda _: kept)

    def hurry(self, plan: ReadPlan, left_s: float, *instances: object) -> Request:
        request = Request("late", (), Caller(), 0.0)
        request.deadline_s = left_s
        request.entities = plan.read(instances)
        self.features.fill(request, self.used(plan), self._hand_on)
        return request


@pytest.mark.parametrize("count", [1, 2])
def test_a_request_waits_for_its_rows_for_a_share_of_its_time_and_is_handed_on_once(plan: ReadPlan, count: int) -> None:
    bench = HurriedBench()
    request = bench.hurry(plan, 0.4, *[INSTANCE] * count)
    bench.timers.move_to(0.199)
    assert bench.handed_on == []
    bench.timers.move_to(0.202)
    assert bench.handed_on == [request]
    assert request.degraded == "plane=unavailable, route=unavailable"
    assert bench.observer.failures == ["budget"]
    bench.reader.answers(0, FOUND)
    assert bench.handed_on == [request]


def test_rows_that_come_within_the_share_are_used_and_nothing_follows(plan: ReadPlan) -> None:
    bench = HurriedBench()
    request = bench.hurry(plan, 0.4, INSTANCE)
    others = [bench.hurry(plan, 0.4, INSTANCE) for _ in range(8)]
    bench.reader.answers_all(FOUND)
    assert bench.handed_on == [request, *others]
    assert request.degraded == ""
    bench.timers.move_to(1.0)
    assert len(bench.handed_on) == 1 + len(others)
    assert bench.observer.failures == []


def test_a_request_with_time_enough_waits_as_long_as_the_reader_does(plan: ReadPlan) -> None:
    bench = HurriedBench()
    bench.hurry(plan, 2.0, INSTANCE)
    assert bench.timers.timers == []


def test_what_was_kept_is_used_where_the_share_is_over(plan: ReadPlan) -> None:
    kept = CachedRows()
    kept.update(FOUND)
    kept.outdated.add(next(iter(FOUND)))
    bench = HurriedBench(kept)
    request = bench.hurry(plan, 0.4, INSTANCE)
    bench.timers.move_to(0.4)
    assert bench.handed_on == [request]
    assert request.degraded == "plane=stale_used"


def test_a_caller_who_left_before_the_share_was_over_is_skipped(plan: ReadPlan) -> None:
    bench = HurriedBench()
    bench.hurry(plan, 0.4, INSTANCE).leave()
    bench.timers.move_to(1.0)
    assert bench.handed_on == []
    assert bench.observer.failures == []
