"""How large a batch may be, and when waiting pays: properties over all estimates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.batching.latency_model import Estimate
from serving.batching.window import rows_now, wait_s, window

ESTIMATES = st.builds(Estimate, st.floats(0.0, 0.1), st.floats(0.0, 0.1), st.floats(1.0, 50.0))
GOALS = st.floats(1e-4, 10.0)
SIZES = st.integers(1, 4_096)


@given(ESTIMATES, GOALS, SIZES)
def test_two_of_the_largest_batches_fit_into_the_goal(estimate: Estimate, goal_s: float, max_rows: int) -> None:
    most = window(estimate, goal_s, max_rows).most_rows
    assert 1 <= most <= max_rows
    assert most == 1 or 2.0 * estimate.late_s(most) <= goal_s * (1.0 + 1e-9)
    # And no smaller than it has to be.
    assert most == max_rows or 2.0 * estimate.late_s(most + 1) > goal_s * (1.0 - 1e-9)


@given(ESTIMATES, GOALS, SIZES)
def test_enough_rows_do_four_fifths_of_what_the_largest_batches_do(
    estimate: Estimate, goal_s: float, max_rows: int
) -> None:
    most, enough = window(estimate, goal_s, max_rows)
    assert 1 <= enough <= most

    def a_second(rows: int) -> float:
        run_s = estimate.run_s(rows)
        return rows / run_s if run_s else float("inf")

    assert a_second(enough) >= 0.8 * a_second(most) * (1.0 - 1e-6)


@given(ESTIMATES, GOALS, SIZES, st.floats(-1.0, 10.0), st.floats(0.0, 1.0))
def test_more_time_never_makes_a_batch_smaller(
    estimate: Estimate, goal_s: float, max_rows: int, slack_s: float, more_s: float
) -> None:
    found = window(estimate, goal_s, max_rows)
    less, more = (
        rows_now(
            found,
            estimate,
            slack_s,
        ),
        rows_now(found, estimate, slack_s + more_s),
    )
    assert found.enough_rows <= less <= more <= found.most_rows


def test_a_batch_whose_oldest_row_is_pressed_is_as_small_as_it_needs() -> None:
    estimate = Estimate(0.0, 0.001, margin=1.0)
    found = window(estimate, 0.040, 64)
    assert found.most_rows == 20
    assert rows_now(found, estimate, 0.0105) == 10
    assert rows_now(found, estimate, -1.0) == found.enough_rows


@given(ESTIMATES, st.integers(1, 64), st.floats(1e-6, 1.0), st.floats(-1.0, 1.0), st.floats(0.0, 0.1))
def test_waiting_never_makes_the_oldest_late_and_never_costs_more_than_it_saves(
    estimate: Estimate, rows: int, gap_s: float, slack_s: float, longest_s: float
) -> None:
    waits_s = wait_s(estimate, rows, gap_s, slack_s, longest_s)
    assert 0.0 <= waits_s <= longest_s
    if waits_s:
        assert waits_s + estimate.late_s(rows + 1) <= slack_s + 1e-9
        assert rows * gap_s < estimate.fixed_s


def test_nobody_waits_where_the_next_row_is_far_away_or_a_run_costs_nothing_to_begin() -> None:
    dear, cheap = Estimate(0.010, 0.0001), Estimate(0.00001, 0.0001)
    assert wait_s(dear, 1, 0.001, 1.0, 0.005) > 0.0
    assert wait_s(dear, 1, 0.5, 1.0, 0.005) == 0.0
    assert wait_s(cheap, 1, 0.001, 1.0, 0.005) == 0.0
    assert wait_s(dear, 1, 0.001, 1.0, 0.0) == 0.0
