"""Requests grow while answers are quick, and shrink when the gateway is pressed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.bulk.pace import QUICK_S, SLOW_S, Pace

EVENTS = st.lists(st.tuples(st.sampled_from(["quick", "slow", "fair", "refused", "too large"]), st.integers(1, 5_000)))
TOOK = {"quick": QUICK_S / 2, "slow": SLOW_S * 2, "fair": (QUICK_S + SLOW_S) / 2}


@given(most=st.integers(1, 5_000), full=st.integers(1, 256), events=EVENTS)
def test_whatever_happens_a_request_has_a_row_and_no_more_than_allowed(
    most: int, full: int, events: list[tuple[str, int]]
) -> None:
    pace = Pace(most, full)
    for what, rows in events:
        if what == "refused":
            pace.refused(rows)
        elif what == "too large":
            pace.too_large(rows)
            assert pace.rows < max(rows, 2)
        else:
            pace.answered(rows, TOOK[what])
        assert 1 <= pace.rows <= pace.most <= most
        assert pace.rows < full or pace.rows % full == 0


def test_it_grows_to_the_bound_while_answers_are_quick() -> None:
    pace = Pace(1_000, 64)
    for _ in range(10):
        pace.answered(pace.rows, QUICK_S / 2)
    assert pace.rows == 960


def test_an_answer_that_took_as_long_as_is_aimed_at_changes_nothing() -> None:
    pace = Pace(1_000)
    pace.answered(pace.rows, (QUICK_S + SLOW_S) / 2)
    assert pace.rows == 32


def test_a_slow_answer_and_a_refusal_halve_it() -> None:
    pace = Pace(1_000, rows=512)
    pace.answered(512, SLOW_S * 2)
    assert pace.rows == 256
    pace.refused(256)
    assert pace.rows == 128


def test_after_a_refusal_it_does_not_grow_with_the_next_quick_answer() -> None:
    pace = Pace(1_000, rows=512)
    pace.refused(512)
    pace.answered(256, QUICK_S / 2)
    assert pace.rows == 256
    for _ in range(20):
        pace.answered(pace.rows, QUICK_S / 2)
    assert pace.rows > 256


def test_refusals_of_requests_that_were_sent_together_halve_it_once() -> None:
    pace = Pace(1_000, rows=512)
    for _ in range(4):
        pace.refused(512)
    assert pace.rows == 256
    for _ in range(4):
        pace.answered(256, SLOW_S * 2)
    assert pace.rows == 128
