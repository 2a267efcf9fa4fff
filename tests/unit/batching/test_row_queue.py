"""The queue's promises, over random arrivals, departures and takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.batching.row_queue import QueueLimits, RowQueue
from serving.errors import Overloaded, ServingError, TooLarge
from serving.inference import Answer, Request


class Nobody:
    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Drop it."""


def request(rows: int, group: int = 0, deadline_s: float = 1e9) -> Request:
    made = Request("m", [], Nobody(), 0.0)
    made.rows, made.size, made.group, made.deadline_s = rows, rows * 8, group, deadline_s
    return made


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 30), st.integers(0, 2)),
        st.tuples(st.just("leave"), st.integers(0, 50), st.just(0)),
        st.tuples(st.just("take"), st.just(0), st.just(0)),
    ),
    max_size=120,
)


@given(STEPS)
def test_nobody_is_lost_doubled_or_mixed_and_bounds_hold(steps: list[tuple[str, int, int]]) -> None:
    limits = QueueLimits(max_rows=8, queue_rows=60, queue_bytes=10_000)
    queue = RowQueue(limits)
    accepted: list[Request] = []
    taken: dict[Request, int] = {}

    def take() -> bool:
        spans = queue.take(0.0)
        assert sum(span.stop - span.start for span in spans) <= limits.max_rows
        assert len({span.request.group for span in spans}) <= 1
        for span in spans:
            assert span.request.waiting
            assert span.start == taken.get(span.request, 0)
            taken[span.request] = span.stop
        return bool(spans)

    for step, number, group in steps:
        if step == "add":
            new = request(number, group)
            if queue.refusal(new.rows, new.size) is None:
                new.holders = (queue,)
                queue.add(new)
                accepted.append(new)
        elif step == "leave" and accepted:
            accepted[number % len(accepted)].leave()
        else:
            take()
        assert 0 <= queue.rows <= limits.queue_rows
        assert queue.bytes >= 0
        waiting = sum(each.rows - taken.get(each, 0) for each in accepted if each.waiting)
        assert queue.rows == waiting
    while take():
        pass
    for each in accepted:
        if each.waiting:
            assert taken[each] == each.rows
    assert queue.rows == queue.bytes == 0


def test_expired_rows_leave_before_the_run() -> None:
    queue = RowQueue(QueueLimits())
    expired, alive = request(1, deadline_s=1.0), request(1, deadline_s=3.0)
    queue.add(expired)
    queue.add(alive)
    assert [span.request for span in queue.take(2.0)] == [alive]


def test_bounds_are_in_rows_and_in_bytes() -> None:
    queue = RowQueue(QueueLimits(max_rows=8, queue_rows=10, queue_bytes=100))
    assert isinstance(queue.refusal(11, 1), TooLarge)
    assert isinstance(queue.refusal(1, 101), TooLarge)
    queue.add(request(9))
    assert queue.refusal(1, 8) is None
    assert isinstance(queue.refusal(2, 16), Overloaded)
    assert isinstance(queue.refusal(1, 99), Overloaded)


def test_lanes_of_different_shapes_take_turns() -> None:
    queue = RowQueue(QueueLimits(max_rows=2))
    for _ in range(4):
        queue.add(request(1, group=0))
        queue.add(request(1, group=1))
    groups = [queue.take(0.0)[0].request.group for _ in range(4)]
    assert groups == [0, 1, 0, 1]


def test_those_who_left_are_not_kept_while_nothing_is_taken() -> None:
    queue = RowQueue(QueueLimits())
    for _ in range(10_000):
        one = request(1)
        one.holders = (queue,)
        queue.add(one)
        one.leave()
    assert sum(len(lane) for lane in queue._lanes.values()) < 1_000


def test_lanes_of_those_who_left_are_not_kept_either() -> None:
    queue = RowQueue(QueueLimits())
    for number in range(10_000):
        one = request(1, group=number)
        one.holders = (queue,)
        queue.add(one)
        one.leave()
    assert len(queue._lanes) < 1_000


def test_a_large_suspect_is_taken_alone_and_in_spans() -> None:
    queue = RowQueue(QueueLimits(max_rows=4))
    first, suspect, last = request(1), request(10), request(1)
    suspect.alone = True
    for each in (first, suspect, last):
        queue.add(each)
    taken = [queue.take(0.0) for _ in range(5)]
    assert [[(span.request, span.start, span.stop) for span in spans] for spans in taken] == [
        [(first, 0, 1)],
        [(suspect, 0, 4)],
        [(last, 0, 1)],
        [(suspect, 4, 8)],
        [(suspect, 8, 10)],
    ]
    assert queue.rows == queue.bytes == 0


def test_a_suspect_is_taken_alone() -> None:
    queue = RowQueue(QueueLimits())
    first, suspect, last = request(1), request(1), request(1)
    suspect.alone = True
    for each in (first, suspect, last):
        queue.add(each)
    assert [[span.request for span in queue.take(0.0)] for _ in range(3)] == [[first], [suspect], [last]]
