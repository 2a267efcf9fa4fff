"""Bets on runs: fair where the canary's runs are as often slow as is allowed, whoever has how many of them."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.rollouts.alternatives import WORSE, Alternatives
from serving.rollouts.run_alternatives import RunFamily
from serving.rollouts.stratum import Counts, Floats

PHI0 = 1.25


def table(classes: int = 1) -> Alternatives:
    """One bound, and classes of size; the columns of slow runs come first."""
    columns, runs = tuple(range(classes)), tuple(range(classes, 2 * classes))
    shares = np.full(WORSE.size, 1 / WORSE.size)
    return Alternatives([RunFamily((columns,), runs, PHI0 * WORSE, shares, PHI0)])


def chances(probabilities: list[float]) -> Floats:
    """How likely each number of slow runs is, where each run has a probability of its own."""
    found = np.ones(1)
    for probability in probabilities:
        found = np.convolve(found, [1 - probability, probability])
    return found


def expected(bets: Alternatives, canary: list[float], stable: list[float], weight_bp: int = 100) -> Floats:
    """The mean of each alternative's factor, of runs with these chances to be slow."""
    of_canary, of_stable = chances(canary), chances(stable)
    rows = [(x, y) for x in range(len(canary) + 1) for y in range(len(stable) + 1)]
    counts: Counts = np.array([[x, len(canary)] for x, _ in rows])
    both: Counts = np.array([[x + y, len(canary) + len(stable)] for x, y in rows])
    weights = np.array([of_canary[x] * of_stable[y] for x, y in rows])
    means: Floats = weights @ np.exp(bets.log_growth(counts, both, weight_bp))
    return means


@given(st.integers(1, 6), st.lists(st.floats(0.0, 0.8), min_size=1, max_size=8), st.integers(1, 99))
def test_whatever_the_chances_and_the_numbers_of_runs_nothing_is_to_be_won_at_what_is_allowed(
    runs: int, stable: list[float], weight: int
) -> None:
    canary = [PHI0 * float(np.mean(stable))] * runs
    assert (expected(table(), canary, stable, 100 * weight) <= 1 + 1e-9).all()


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6))
def test_it_is_the_mean_over_runs_that_counts_and_not_that_all_are_alike(
    canary: list[float], stable: list[float]
) -> None:
    allowed = np.mean(canary) <= PHI0 * np.mean(stable)
    if allowed:
        assert (expected(table(), canary, stable) <= 1 + 1e-9).all()


def test_a_canary_that_is_slow_more_often_than_allowed_pays() -> None:
    assert (expected(table(), [0.02] * 8, [0.001] * 8).max()) > 1.02


def test_slow_runs_where_none_were_counted_win_nothing() -> None:
    assert table().log_growth(np.array([[3, 0]]), np.array([[3, 0]]), 1_000) == pytest.approx(0.0)
    assert (table().log_growth(np.array([[3, 0]]), np.array([[9, 0]]), 1_000) < 0).all()


def test_the_weight_has_no_say() -> None:
    slow, ran = np.array([[4, 10]]), np.array([[8, 1_000]])
    assert np.array_equal(table().log_growth(slow, ran, 5_000), table().log_growth(slow, ran, 10))


def test_each_class_of_size_is_compared_within_itself() -> None:
    """The canary has the small runs, of which one is slow, and the stable version the large ones, of which half are."""
    growth = table(classes=2).log_growth(np.array([[1, 0, 900, 10]]), np.array([[1, 400, 900, 810]]), 1_000)[0]
    # No stable run of one row is there, so that the canary's slow one says nothing; and of large ones it had none.
    assert (growth < 0).all()
    alone = table(classes=2).log_growth(np.array([[1, 0, 900, 0]]), np.array([[1, 400, 900, 800]]), 1_000)[0]
    assert alone == pytest.approx(np.zeros(25))


def test_the_formula_is_that_of_the_docstring() -> None:
    x, n, ran_on_canary, ran = 3, 7, 40, 100
    rho, phis = ran_on_canary / ran, PHI0 * WORSE
    expected_growth = x * np.log(phis / PHI0) - n * np.log((rho * phis + 1 - rho) / (rho * PHI0 + 1 - rho))
    found = table().log_growth(np.array([[x, ran_on_canary]]), np.array([[n, ran]]), 100)[0]
    assert found == pytest.approx(expected_growth)
    # Of n slow runs of which any might be the canary's, the chances of 0 to n add up to a fair bet.
    pi = rho * PHI0 / (rho * PHI0 + 1 - rho)
    of = [comb(n, k) * pi**k * (1 - pi) ** (n - k) for k in range(n + 1)]
    factors = table().log_growth(
        np.array([[k, ran_on_canary] for k in range(n + 1)]), np.array([[n, ran]] * (n + 1)), 100
    )
    assert np.array(of) @ np.exp(factors) == pytest.approx(np.ones(25))
