"""The queue's promises, over random arrivals, departures and takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.batching.row_queue import QueueLimits, RowQueue, Span, TotalRows
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
        st.tuples(st.just("add"), st.integers(1, 30), st.integers(0, 2), st.integers(1, 40)),
        st.tuples(st.just("leave"), st.integers(0, 50), st.just(0), st.just(0)),
        st.tuples(st.sampled_from(["take", "run", "lose"]), st.integers(0, 50), st.just(0), st.just(0)),
    ),
    max_size=120,
)


class Queues:
    """Two queues of a worker, what they have let in, and what was taken of it and runs."""

    LIMITS = QueueLimits(max_rows=8, queue_rows=60, queue_bytes=2_000)
    TOTAL = 90

    def __init__(self) -> None:
        self.total = TotalRows(self.TOTAL)
        self.both = [RowQueue(self.LIMITS, self.total) for _ in range(2)]
        self.accepted: list[tuple[RowQueue, Request]] = []
        self.taken: dict[Request, int] = {}
        self.flying: list[tuple[RowQueue, list[Span]]] = []

    def add(self, which: int, rows: int, group: int, row_bytes: int) -> None:
        queue, new = self.both[which % 2], request(rows, group)
        new.priority, new.size = rows % 4, rows * row_bytes
        refused = queue.refusal(new.rows, new.size, new.priority)
        held_rows, held_bytes = queue.rows, queue.bytes
        if refused is None:
            new.holders = (queue,)
            queue.add(new)
            self.accepted.append((queue, new))
            assert queue.rows <= self.LIMITS.queue_rows
            assert queue.bytes <= self.LIMITS.queue_bytes
            assert self.total.rows <= self.TOTAL
        else:
            assert (queue.rows, queue.bytes) == (held_rows, held_bytes)

    def take(self, which: int) -> bool:
        queue = self.both[which % 2]
        spans = queue.take(0.0)
        assert sum(span.stop - span.start for span in spans) <= self.LIMITS.max_rows
        assert len({span.request.group for span in spans}) <= 1
        for span in spans:
            assert span.request.waiting
            assert span.start == self.taken.get(span.request, 0)
            self.taken[span.request] = span.stop
        if spans:
            self.flying.append((queue, spans))
        return bool(spans)

    def lose(self, which: int) -> None:
        """A replica goes with a batch that it had not begun: what was taken whole comes back."""
        queue, spans = self.flying.pop(which % len(self.flying))
        for span in reversed(spans):
            if span.request.waiting and span.stop - span.start == span.request.rows:
                queue.put_back(span)
                del self.taken[span.request]

    def check(self) -> None:
        for queue in self.both:
            mine = [each for of, each in self.accepted if of is queue and each.waiting]
            left = {each: each.rows - self.taken.get(each, 0) for each in mine}
            assert queue.rows == sum(left.values())
            assert queue.bytes == sum(each.size for each in mine if left[each])
            assert sum(queue.rows_by_level().values()) == queue.rows
            bulk = [each for each in mine if self.LIMITS.is_bulk(each.priority) and left[each]]
            assert queue._bulk_bytes == sum(each.size for each in bulk)
        assert self.total.rows == sum(queue.rows for queue in self.both)
        assert self.total.bulk == sum(queue._bulk_rows() for queue in self.both)


@given(STEPS)
def test_nobody_is_lost_doubled_or_mixed_and_bounds_hold(steps: list[tuple[str, int, int, int]]) -> None:
    queues = Queues()
    for step, number, group, row_bytes in steps:
        if step == "add":
            queues.add(number * row_bytes, number, group, row_bytes)
        elif step == "leave" and queues.accepted:
            queues.accepted[number % len(queues.accepted)][1].leave()
        elif step == "take":
            queues.take(number)
        elif step == "run" and queues.flying:
            queues.flying.pop(number % len(queues.flying))
        elif step == "lose" and queues.flying:
            queues.lose(number)
        queues.check()
    while any(queues.take(which) for which in range(2)):
        pass
    assert all(queues.taken[each] == each.rows for _, each in queues.accepted if each.waiting)
    queues.check()
    assert queues.total.rows == queues.both[0].bytes == queues.both[1].bytes == 0


def test_what_a_lost_replica_never_began_comes_back_into_a_full_queue_and_nobody_new_is_let_in_before_it_is_gone() -> (
    None
):
    limits = QueueLimits(max_rows=8, queue_rows=16, queue_bytes=128)
    total = TotalRows(16)
    queue, other = RowQueue(limits, total), RowQueue(limits, total)
    for _ in range(2):
        queue.add(request(8))
    flying = [queue.take(0.0) for _ in range(2)]
    for _ in range(16):
        assert queue.refusal(1, 8) is None
        queue.add(request(1))
    for spans in reversed(flying):
        queue.put_back(spans[0])
    # No more above the bounds than was under way, and none of it lost.
    assert (queue.rows, queue.bytes, total.rows) == (32, 256, 32)
    while queue.rows >= 16:
        for one in (queue, other):
            assert isinstance(one.refusal(1, 8), Overloaded)
        assert sum(stop - start for _, start, stop in queue.take(0.0)) == 8
    assert queue.refusal(1, 8) is other.refusal(1, 8) is None


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


def test_rows_of_all_queues_are_bounded_together_and_free_as_soon_as_they_are_taken_or_leave() -> None:
    total = TotalRows(10)
    one, other = RowQueue(QueueLimits(), total), RowQueue(QueueLimits(), total)
    leaving = request(4)
    leaving.holders = (other,)
    one.add(request(5))
    other.add(leaving)
    refused = one.refusal(2, 16)
    assert isinstance(refused, Overloaded)
    assert "http.max_queued_rows" in refused.message
    assert one.refusal(1, 8) is None
    leaving.leave()
    assert other.refusal(5, 40) is None
    one.take(0.0)
    assert total.rows == 0
    assert isinstance(one.refusal(11, 88), TooLarge)


def test_bulk_has_half_of_the_rows_of_all_queues_and_of_the_bytes_of_its_own_at_most() -> None:
    total = TotalRows(20)
    limits = QueueLimits(queue_rows=20, queue_bytes=400)
    queues = [RowQueue(limits, total) for _ in range(4)]
    for queue in queues[:2]:
        assert queue.refusal(5, 40, 3) is None
        queue.add(of_level(3, 5))
    for queue in queues:
        refused = queue.refusal(1, 8, 3)
        assert isinstance(refused, Overloaded)
        assert "10 that may in a worker" in refused.message
        # The other half is left to those who may not wait.
        assert queue.refusal(10, 80) is queue.refusal(10, 80, 1) is None
    assert isinstance(queues[0].refusal(11, 88), Overloaded)
    queues[0].take(0.0)
    assert queues[2].refusal(5, 200, 3) is None
    # One that has more than half alone would otherwise never be let in.
    assert isinstance(queues[1].refusal(1, 361, 3), Overloaded)
    assert isinstance(queues[1].refusal(1, 161, 3), Overloaded)
    assert queues[1].refusal(1, 160, 3) is None
    assert queues[1].refusal(1, 360) is None
    queues[1].take(0.0)
    assert queues[1].refusal(15, 400, 3) is None
    assert total.bulk == 0


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


def of_level(priority: int, rows: int = 1, group: int = 0) -> Request:
    made = request(rows, group)
    made.priority = priority
    return made


def taken_from(queue: RowQueue) -> list[Request]:
    return [span.request for span in queue.take(0.0)]


def test_rows_of_a_higher_priority_leave_first() -> None:
    queue = RowQueue(QueueLimits(max_rows=1))
    last, usual, first = of_level(3), of_level(0), of_level(1)
    for one in (last, usual, first):
        queue.add(one)
    assert [taken_from(queue) for _ in range(4)] == [[first], [usual], [last], []]
    assert not queue


def test_a_priority_that_there_is_not_is_the_default_one() -> None:
    queue = RowQueue(QueueLimits(max_rows=8))
    several = [of_level(priority) for priority in (0, 2, 4, 2**63)]
    for one in several:
        queue.add(one)
    assert taken_from(queue) == several


def test_room_beside_urgent_rows_is_filled_from_the_next_level_with_equal_shapes() -> None:
    queue = RowQueue(QueueLimits(max_rows=4))
    other, usual, later, urgent = of_level(0, group=1), of_level(0, 2), of_level(3, 2), of_level(1)
    for one in (other, usual, later, urgent):
        queue.add(one)
    assert taken_from(queue) == [urgent, usual]
    assert taken_from(queue) == [other]
    assert taken_from(queue) == [later]


def test_nobody_joins_a_batch_whose_last_request_runs_alone_or_has_rows_left() -> None:
    queue = RowQueue(QueueLimits(max_rows=4))
    large, alone, usual = of_level(1, 6), of_level(1), of_level(0)
    alone.alone = True
    for one in (large, alone, usual):
        queue.add(one)
    assert taken_from(queue) == [large]
    assert taken_from(queue) == [alone]
    assert taken_from(queue) == [large, usual]


def test_bulk_is_taken_in_parts_where_a_batch_of_it_has_to_be_short_but_for_a_suspect() -> None:
    queue = RowQueue(QueueLimits(max_rows=8))
    bulk, suspect = of_level(3, 6), of_level(3, 6)
    suspect.alone = True
    queue.add(bulk)
    queue.add(suspect)
    assert [(start, stop) for _, start, stop in queue.take(0.0, 4)] == [(0, 4)]
    assert [(span.request, span.stop) for span in queue.take(0.0, 4)] == [(suspect, 6)]
    assert [(start, stop) for _, start, stop in queue.take(0.0, 4)] == [(4, 6)]
    assert queue.rows == queue.bytes == 0


@pytest.mark.parametrize(("rows", "taken"), [(6, [(3, 2)]), (1, [(3, 1), *[(0, 1)] * 7])])
def test_the_ninth_batch_has_no_more_bulk_than_others_can_wait_for_and_they_join_it(
    rows: int, taken: list[tuple[int, int]]
) -> None:
    queue = RowQueue(QueueLimits(max_rows=8))
    queue.add(of_level(3, rows))
    for _ in range(8):
        queue.add(of_level(0, 8))
        assert [span.request.priority for span in queue.take(0.0, joining_rows=0, bulk_rows=2)] == [0]
    for _ in range(8):
        queue.add(of_level(0))
    spans = queue.take(0.0, joining_rows=0, bulk_rows=2)
    assert [(span.request.priority, span.stop - span.start) for span in spans] == taken


def test_rows_are_counted_by_level() -> None:
    queue = RowQueue(QueueLimits())
    assert queue.rows_by_level() == {}
    for priority, rows in ((0, 2), (1, 3), (3, 4), (2, 1), (9, 1)):
        asked = request(rows)
        asked.priority = priority
        queue.add(asked)
    assert queue.rows_by_level() == {1: 3, 2: 4, 3: 4}
    queue.take(0.0, 3)
    assert queue.rows_by_level() == {2: 4, 3: 4}


def test_rows_that_are_passed_over_have_the_ninth_batch() -> None:
    queue = RowQueue(QueueLimits(max_rows=1))
    starving = of_level(3)
    queue.add(starving)
    for batch in range(8):
        queue.add(of_level(1))
        queue.add(of_level(0))
        assert taken_from(queue) != [starving], batch
    assert taken_from(queue) == [starving]
    assert taken_from(queue) != []


def test_rows_put_back_keep_their_level_and_those_that_leave_are_forgotten_in_every_level() -> None:
    queue = RowQueue(QueueLimits(max_rows=1))
    urgent = of_level(1)
    queue.add(of_level(0))
    queue.add(urgent)
    (span,) = queue.take(0.0)
    queue.put_back(span)
    assert queue.rows == 2
    assert taken_from(queue) == [urgent]
    many = [of_level(3) for _ in range(1_000)]
    for one in many:
        one.holders = (queue,)
        queue.add(one)
    for one in many:
        one.leave()
    assert queue.rows == 1
    assert len(queue.empty()) == 1
    assert not queue
