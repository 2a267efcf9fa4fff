"""Which worker accepts from which listener."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.processes.coverage import WorkerView, covered

SLOTS = 3

views = st.lists(
    st.builds(
        WorkerView,
        name=st.integers(min_value=1, max_value=50),
        slot=st.integers(min_value=0, max_value=SLOTS - 1),
        up=st.booleans(),
        ready=st.booleans(),
        leaving=st.booleans(),
        serving=st.frozensets(st.integers(min_value=0, max_value=SLOTS - 1)),
    ),
    max_size=8,
    unique_by=lambda view: view.name,
)


def worker(name: int, slot: int, *, ready: bool = True, serving: frozenset[int] = frozenset()) -> WorkerView:
    return WorkerView(name, slot, up=True, ready=ready, serving=serving)


@given(views)
def test_every_slot_is_accepted_by_exactly_one_worker_as_long_as_one_can(workers: list[WorkerView]) -> None:
    wanted = covered(SLOTS, workers)
    accepted = sorted(slot for slots in wanted.values() for slot in slots)
    able = [view for view in workers if view.up and not view.leaving]
    assert accepted == (list(range(SLOTS)) if able else [])
    assert set(wanted) == {view.name for view in able}


@given(views)
def test_a_decision_that_was_carried_out_is_decided_again(workers: list[WorkerView]) -> None:
    wanted = covered(SLOTS, workers)
    after = [
        WorkerView(v.name, v.slot, v.up, v.ready, v.leaving, frozenset(wanted.get(v.name, set()))) for v in workers
    ]
    assert covered(SLOTS, after) == wanted


def test_each_ready_worker_serves_its_own_slot() -> None:
    assert covered(2, [worker(1, 0), worker(2, 1)]) == {1: {0}, 2: {1}}


def test_a_dead_workers_slot_goes_to_the_one_with_the_least_to_do() -> None:
    adopted = covered(4, [worker(1, 0), worker(2, 1)])
    assert sorted(len(slots) for slots in adopted.values()) == [2, 2]


def test_a_successor_takes_the_slot_only_when_it_is_ready() -> None:
    adopter, successor = worker(1, 0, serving=frozenset({0, 1})), worker(3, 1, ready=False)
    assert covered(2, [adopter, successor]) == {1: {0, 1}, 3: set()}
    assert covered(2, [adopter, worker(3, 1)]) == {1: {0}, 3: {1}}


def test_of_two_ready_workers_of_a_slot_the_newer_one_accepts() -> None:
    assert covered(1, [worker(1, 0, serving=frozenset({0})), worker(2, 0)]) == {1: set(), 2: {0}}


def test_a_worker_that_is_not_ready_answers_when_nobody_else_can() -> None:
    assert covered(1, [worker(1, 0, ready=False)]) == {1: {0}}
