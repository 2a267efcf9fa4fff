"""Queues that share slots: by estimated seconds, bulk last, and never a free slot while somebody waits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.batching.fair_share import FairShare, Shares


@dataclass(eq=False)
class Queue:
    """A queue with batches of one length; `running` has the slots that it holds."""

    name: str
    batch_s: float
    waiting: int = 0
    bulk: bool = False
    virtual_s: float = 0.0
    running: list[bool] = field(default_factory=list)
    served: int = 0
    took_s: float = 0.0

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.running

    def waiting_s(self) -> float:
        return self.waiting * self.batch_s

    def begin(self, share: FairShare, *, bulk: bool) -> bool:
        if not self.waiting:
            return False
        self._run(share, bulk=bulk)
        self._more(share)
        return True

    def add(self, share: FairShare, batches: int = 1) -> None:
        self.waiting += batches
        self._more(share)

    def ends(self, share: FairShare) -> None:
        bulk = self.running.pop()
        share.settle(self, self.batch_s, self.took_s or self.batch_s, 0.0)
        self._more(share)
        share.leaves(bulk=bulk)

    def _more(self, share: FairShare) -> None:
        while self.waiting and share.enters(self, bulk=self.bulk):
            self._run(share, bulk=self.bulk)

    def _run(self, share: FairShare, *, bulk: bool) -> None:
        self.waiting -= 1
        self.served += 1
        self.running.append(bulk)
        share.charge(self, self.batch_s, 0.0)


def share_of(slots: int, servers: int = 1) -> FairShare:
    share = FairShare()
    share.resize(slots, servers)
    return share


def under_way(queues: list[Queue]) -> int:
    return sum(len(queue.running) for queue in queues)


def one_after_another(share: FairShare, queues: list[Queue], batches: int) -> None:
    """Let what runs end in order, until so many batches have been served."""
    order = [queue for queue in queues for _ in queue.running]
    while sum(queue.served for queue in queues) < batches and order:
        before = {id(queue): len(queue.running) for queue in queues}
        ended = order.pop(0)
        before[id(ended)] -= 1
        ended.ends(share)
        order += [queue for queue in queues for _ in range(len(queue.running) - before[id(queue)])]


@pytest.mark.parametrize("slots", [1, 2])
def test_flooded_queues_get_equal_seconds_not_equal_batches(slots: int) -> None:
    share = share_of(slots)
    slow, quick = Queue("slow", 0.030), Queue("quick", 0.001)
    slow.add(share, 10_000)
    quick.add(share, 10_000)
    one_after_another(share, [slow, quick], 3_000)
    assert quick.served * quick.batch_s == pytest.approx(slow.served * slow.batch_s, rel=0.1)


def test_whoever_is_thought_slow_and_is_not_pays_for_what_it_took() -> None:
    share = share_of(1)
    thought_slow, quick = Queue("thought slow", 2.0, took_s=0.001), Queue("quick", 0.001)
    thought_slow.add(share, 1_000)
    quick.add(share, 1_000)
    one_after_another(share, [thought_slow, quick], 200)
    assert thought_slow.served == pytest.approx(quick.served, abs=2)


def test_a_queue_that_was_idle_does_not_make_up_for_it() -> None:
    share = share_of(1)
    busy, late = Queue("busy", 0.001), Queue("late", 0.001)
    busy.add(share, 1_000)
    one_after_another(share, [busy, late], 500)
    late.add(share, 400)
    before = busy.served
    one_after_another(share, [busy, late], 700)
    assert busy.served - before == pytest.approx(late.served, abs=2)


def test_a_lone_small_queue_waits_for_one_batch_of_a_flooded_one_at_most() -> None:
    share = share_of(1)
    flooded, small = Queue("flooded", 0.002), Queue("small", 0.0001)
    flooded.add(share, 1_000)
    for _ in range(50):
        before = flooded.served
        small.add(share)
        one_after_another(share, [flooded, small], flooded.served + small.served + 1)
        assert small.waiting == 0
        assert flooded.served - before <= 1
        if small.running:
            small.ends(share)


def test_bulk_gets_what_the_others_leave_and_leaves_them_a_slot() -> None:
    share = share_of(2)
    bulk, urgent = Queue("bulk", 0.001, bulk=True), Queue("urgent", 0.001)
    bulk.add(share, 100)
    assert len(bulk.running) == 1
    urgent.add(share, 20)
    assert len(urgent.running) == 1
    one_after_another(share, [bulk, urgent], 21)
    assert urgent.served == 20
    one_after_another(share, [bulk, urgent], 60)
    assert bulk.served == 40


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["add", "end", "slots"]), st.integers(0, 3), st.integers(1, 3)), max_size=100),
)
def test_slots_are_never_exceeded_and_never_idle_while_somebody_waits(
    slots: int, steps: list[tuple[str, int, int]]
) -> None:
    share = share_of(slots)
    queues = [Queue(str(n), 0.001 * (n + 1), bulk=n == 3) for n in range(4)]
    allowed = slots
    for step, which, number in steps:
        queue = queues[which]
        if step == "add":
            queue.add(share, number)
        elif step == "end" and queue.running:
            queue.ends(share)
        elif step == "slots" and under_way(queues) <= number:
            allowed = number
            share.resize(number, 1)
        assert under_way(queues) <= allowed
        if under_way(queues) < allowed:
            waiting = [each for each in queues if each.waiting]
            # But for the slot that work which may wait leaves to the others.
            assert all(each.bulk for each in waiting)
            assert not waiting or queues[3].running


def test_what_is_under_way_is_counted_down_as_time_passes() -> None:
    share = share_of(2)
    queue = Queue("m", 0.010)
    assert share.running_s(0.0) == 0.0
    queue.add(share, 2)
    assert share.running_s(0.0) == pytest.approx(0.020)
    assert share.running_s(0.015) == pytest.approx(0.005)
    assert share.running_s(5.0) == 0.0
    queue.ends(share)
    queue.ends(share)
    assert share.running_s(0.0) == 0.0
    assert share.idle


def test_others_work_counts_but_for_bulk() -> None:
    share = share_of(1)
    queues = Counter({"a": 3, "b": 5, "bulk": 7})
    made = [Queue(name, 0.001, bulk=name == "bulk") for name in queues]
    Queue("first", 1.0).add(share)
    for queue in made:
        queue.add(share, queues[queue.name])
    assert share.others_s(made[0]) == pytest.approx(0.005)


def test_long_batches_have_slots_of_their_own_in_a_pool_and_not_alone() -> None:
    pool, alone = Shares(), Shares(alone=True)
    pool.resize(4, 2)
    assert pool.of(long=True) is pool.long
    assert pool.of(long=False) is pool.short
    assert (pool.short.slots, pool.long.slots) == (4, 2)
    assert alone.of(long=True) is alone.of(long=False)
