"""Batches grow no further than where a row costs more in a larger one, and what was dear once is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from serving.batching.latency_model import Estimate, LatencyModel
from serving.batching.pace import Pace
from serving.batching.row_cost import RowCosts

ANY = 1_000_000


def padded_s(rows: int) -> float:
    """A text model whose rows are padded to the longest: 0.9 ms a row alone, 6 ms among sixteen."""
    return float(0.00086 * rows**1.7)


def left_waiting(run_s: Callable[[int], float], a_second: int, backlog: int, max_rows: int) -> int:
    """How many wait at one slot after a minute, of so many a second that came to a queue that was long already."""
    dice = random.Random(1)
    pace = Pace(LatencyModel(Estimate(run_s(1), 0.0)), 0.2, max_rows)
    waiting, now, next_at = backlog, 0.0, 0.0
    while now < 60.0:
        if not waiting:
            now = next_at
        while next_at <= now:
            waiting += 1
            next_at += dice.expovariate(a_second)
        rows = min(waiting, pace.rows_now(pace.goal_s))
        took_s = run_s(rows) * dice.uniform(0.9, 1.3)
        pace.saw(rows, took_s)
        waiting -= rows
        now += took_s
    return waiting


def test_a_queue_empties_whose_larger_batches_do_less_in_a_second() -> None:
    # Batches of one do 1,000 a second; the largest that the goal allows did 200, whatever came.
    assert left_waiting(padded_s, 600, backlog=500, max_rows=64) < 50


def test_a_queue_empties_that_needs_its_larger_batches() -> None:
    assert left_waiting(lambda rows: 0.004 + 0.0001 * rows, 2_000, backlog=500, max_rows=64) < 100


@given(
    st.floats(0.0, 0.1),
    st.floats(1e-6, 0.1),
    st.lists(st.tuples(st.integers(1, 256), st.floats(0.9, 1.1)), max_size=200),
)
def test_where_rows_cost_no_more_in_larger_batches_none_is_too_large(
    fixed_s: float, row_s: float, runs: list[tuple[int, float]]
) -> None:
    costs = RowCosts(fixed_s + row_s)
    for rows, scatter in runs:
        costs.saw(rows, (fixed_s + row_s * rows) * scatter)
        assert costs.most_rows > ANY


def test_it_stops_below_the_first_size_whose_rows_are_dearer() -> None:
    costs = RowCosts(0.011)
    for _ in range(8):
        for rows in (1, 3, 4, 8, 40):
            costs.saw(rows, 0.01 + 0.001 * rows if rows < 8 else 0.02 * rows)
    assert costs.most_rows == 7


def test_runs_of_any_length_that_are_few_say_nothing() -> None:
    costs = RowCosts(0.001)
    for number in range(100):
        for rows in (1, 16):
            costs.saw(rows, 5.0 if number % 8 > 4 and rows == 16 else 0.001 * rows)
            assert costs.most_rows > ANY


def test_a_size_that_was_dear_is_tried_again_now_and_then_and_kept_once_it_is_not() -> None:
    costs = RowCosts(0.001)
    tries, dear, spent_s = 0, 0.1, 0.0
    for number in range(100_000):
        if number == 20_000:
            dear = 0.016
        large = costs.most_rows >= 16
        tries += large and 10 <= number < 20_000
        run_s = dear if large else 0.001
        if number < 20_000:
            spent_s += run_s
        costs.saw(16 if large else 1, run_s)
    # At a hundredth of the time.
    assert 0 < tries * 0.1 < 0.02 * spent_s
    assert costs.most_rows > ANY


def test_what_a_row_alone_took_is_forgotten_where_all_requests_are_larger() -> None:
    # The sample of the warm-up was a short text; every request has sixteen long ones.
    costs = RowCosts(0.001)
    limited = 0
    for _ in range(200):
        costs.saw(16, 0.03 + 0.001 * 16)
        limited += costs.most_rows < 16
    assert limited
    assert costs.most_rows > ANY
    for _ in range(200):
        costs.saw(64, 0.03 + 0.001 * 64)
        costs.saw(16, 0.03 + 0.001 * 16)
    assert costs.most_rows > ANY


def test_large_batches_that_are_on_their_way_when_they_turn_out_to_be_dear_change_nothing() -> None:
    costs = RowCosts(0.001)
    for _ in range(8):
        costs.saw(1, 0.001)
        costs.saw(16, 0.1)
    for _ in range(14):
        costs.saw(16, 0.1)
        assert costs.most_rows == 15
    costs.saw(8, 0.008)
    for _ in range(15):
        costs.saw(16, 0.1)
        assert costs.most_rows == 15
