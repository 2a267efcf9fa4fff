"""The wheel: on time, once, and holding nothing that was answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from serving.deadline import DeadlineWheel
from serving.errors import DeadlineExceeded, ServingError
from serving.inference import Answer, Request


@dataclass(eq=False)
class FakeTimer:
    when: float
    callback: Callable[[], None]
    timers: list[FakeTimer]

    def cancel(self) -> None:
        self.timers.remove(self)


class FakeTimers:
    """A loop's clock and timers, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[FakeTimer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(when, callback, self.timers)
        self.timers.append(timer)
        return timer

    def move_to(self, now: float) -> None:
        while due := [timer for timer in self.timers if timer.when <= now]:
            first = min(due, key=lambda timer: timer.when)
            self.timers.remove(first)
            self.now = max(self.now, first.when)
            first.callback()
        self.now = now


class Caller:
    def __init__(self, timers: FakeTimers) -> None:
        self.timers = timers
        self.answers: list[tuple[float, Answer | ServingError]] = []

    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        self.answers.append((self.timers.now, outcome))


def watched(timers: FakeTimers, wheel: DeadlineWheel, deadline_s: float) -> tuple[Request, Caller]:
    caller = Caller(timers)
    request = Request("m", [], caller, timers.now)
    request.deadline_s = deadline_s
    request.holders = (wheel,)
    wheel.watch(request)
    return request, caller


@given(st.lists(st.floats(0.001, 3.0), min_size=1, max_size=40), st.floats(0.001, 0.05))
def test_each_request_is_answered_once_and_within_two_ticks_of_its_deadline(
    deadlines: list[float], tick_s: float
) -> None:
    timers = FakeTimers()
    wheel = DeadlineWheel(timers, Request.reply, tick_s)
    callers = [(deadline, watched(timers, wheel, deadline)[1]) for deadline in deadlines]
    timers.move_to(10.0)
    for deadline, caller in callers:
        ((when, outcome),) = caller.answers
        assert isinstance(outcome, DeadlineExceeded)
        assert deadline <= when + 1e-9
        assert when <= deadline + 2 * tick_s


def test_an_answered_request_is_forgotten_at_once() -> None:
    timers = FakeTimers()
    wheel = DeadlineWheel(timers, Request.reply)
    request, caller = watched(timers, wheel, 1.0)
    request.leave()
    assert not wheel._spokes
    timers.move_to(5.0)
    assert caller.answers == []


def test_earlier_deadlines_between_later_ones_leave_one_timer() -> None:
    timers = FakeTimers()
    wheel = DeadlineWheel(timers, Request.reply)
    for number in range(200):
        timers.move_to(number * 0.037)
        watched(timers, wheel, timers.now + 1.0)
        watched(timers, wheel, timers.now + 0.02)
        assert len(timers.timers) == 1


def test_the_answer_says_how_much_time_there_was_and_how_to_ask_for_more() -> None:
    timers = FakeTimers()
    wheel = DeadlineWheel(timers, Request.reply)
    _, caller = watched(timers, wheel, 0.25)
    timers.move_to(1.0)
    ((_, outcome),) = caller.answers
    assert isinstance(outcome, DeadlineExceeded)
    assert "250 ms" in outcome.message
    assert "x-request-timeout-ms" in outcome.message
