"""Batches go where the least work is unanswered, in turn among equals, and never where none may go."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from serving.backends.balance import choose, choose_for_suspect


@dataclass
class Some:
    free: bool
    work_s: float
    last_lost_at: float = 0.0


some = st.lists(st.builds(Some, st.booleans(), st.floats(0, 5), st.floats(0, 5)), max_size=6)


@given(some, st.integers(0, 2**40))
def test_no_free_replica_has_less_work_than_the_chosen_one(candidates: list[Some], start: int) -> None:
    chosen = choose(candidates, start)
    free = [candidate for candidate in candidates if candidate.free]
    if chosen is None:
        assert not free
    else:
        assert chosen.free
        assert chosen.work_s == min(candidate.work_s for candidate in free)


def test_equals_take_turns() -> None:
    candidates = [Some(True, 3), Some(True, 3), Some(True, 3)]
    chosen = [choose(candidates, start) for start in range(6)]
    assert chosen == candidates * 2
    assert [next(i for i, c in enumerate(candidates) if c is one) for one in chosen] == [0, 1, 2, 0, 1, 2]


@given(some)
def test_a_suspect_meets_the_replica_that_was_lost_least_recently(candidates: list[Some]) -> None:
    chosen = choose_for_suspect(candidates)
    free = [candidate for candidate in candidates if candidate.free]
    if chosen is None:
        assert not free
    else:
        assert chosen.free
        assert chosen.last_lost_at == min(candidate.last_lost_at for candidate in free)
