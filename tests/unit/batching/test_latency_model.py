"""The estimate of run times, over noise, odd runs, changes of pace and batches of one size."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.batching.latency_model import Estimate, LatencyModel

SECONDS = st.floats(1e-6, 0.1)


def learned(fixed_s: float, row_s: float, *, runs: int = 400, noise: float = 0.0, seed: int = 1) -> LatencyModel:
    """A model that believed something else and then saw runs of 1 to 64 rows."""
    draw = random.Random(seed)
    model = LatencyModel(Estimate(0.001, 0.001))
    for _ in range(runs):
        rows = draw.randint(1, 64)
        model.saw(rows, (fixed_s + row_s * rows) * (1.0 + noise * draw.random()))
    return model


@given(SECONDS, SECONDS)
def test_the_line_of_exact_runs_is_found(fixed_s: float, row_s: float) -> None:
    model = learned(fixed_s, row_s, runs=1_000)
    for rows in (1, 8, 64):
        assert model.estimate.run_s(rows) == pytest.approx(fixed_s + row_s * rows, rel=0.1)


@given(st.lists(st.tuples(st.integers(1, 10_000), st.floats(0.0, 1e4)), max_size=200))
def test_whatever_is_seen_no_time_is_negative_and_more_rows_never_take_less(runs: list[tuple[int, float]]) -> None:
    model = LatencyModel(Estimate(0.0001, 0.00001))
    for rows, run_s in runs:
        model.saw(rows, run_s)
    fixed_s, row_s, margin = model.estimate
    assert fixed_s >= 0.0
    assert row_s >= 0.0
    assert 1.0 <= margin <= 50.0
    assert model.estimate.run_s(2) >= model.estimate.run_s(1)


@given(SECONDS, SECONDS, st.integers(1, 64))
def test_one_run_of_any_length_moves_the_line_by_less_than_a_quarter(fixed_s: float, row_s: float, rows: int) -> None:
    model = learned(fixed_s, row_s, noise=0.1)
    before = model.estimate
    model.saw(rows, 1000.0 * before.run_s(rows))
    # What 1 row takes is a small part of what runs of up to 64 rows say.
    for asked in (8, 64):
        assert model.estimate.run_s(asked) <= 1.25 * before.run_s(asked)


@given(SECONDS, SECONDS, st.integers(1, 8))
def test_the_slow_first_run_of_a_process_does_not_undo_what_was_learned_before(
    fixed_s: float, row_s: float, rows: int
) -> None:
    before = Estimate(fixed_s, row_s)
    believing, knowing = LatencyModel(before), LatencyModel(before, learned=True)
    for model in (believing, knowing):
        model.saw(rows, 20.0 * before.run_s(rows))
    # Least where all is a matter of rows, and one ran.
    assert believing.estimate.run_s(8) > 1.2 * before.run_s(8)
    assert knowing.estimate.run_s(8) <= 1.1 * before.run_s(8)


def test_a_slow_beginning_is_forgotten_after_a_few_runs_of_another_length() -> None:
    model = LatencyModel(Estimate(0.001, 0.0))
    for run_s in (5.0, 5.0, 0.001, 0.001, 0.001, 0.001, 0.001):
        model.saw(1, run_s)
    assert model.estimate.run_s(1) < 0.002


def test_one_quick_run_among_slow_ones_makes_nobody_forget() -> None:
    model = LatencyModel(Estimate(0.001, 0.0))
    for number in range(64):
        model.saw(1, 0.001 if number % 4 == 3 else 0.1)
    assert model.estimate.run_s(1) > 0.05


def test_what_was_learned_before_gives_way_where_runs_are_others_now() -> None:
    model = LatencyModel(Estimate(0.001, 0.0001), learned=True)
    for number in range(300):
        model.saw(1 + number % 16, 0.005)
    assert model.estimate.run_s(8) == pytest.approx(0.005, rel=0.2)


def test_a_pause_once_in_a_hundred_runs_leaves_the_line_where_it_was() -> None:
    draw = random.Random(7)
    model = learned(0.001, 0.0002)
    for number in range(2_000):
        rows = draw.randint(1, 64)
        model.saw(rows, (0.001 + 0.0002 * rows) * (50.0 if number % 100 == 0 else 1.0))
    assert model.estimate.run_s(16) == pytest.approx(0.0042, rel=0.1)


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_model_that_becomes_slower_or_faster_is_followed_within_three_hundred_runs(factor: float) -> None:
    draw = random.Random(3)
    model = learned(0.001, 0.0002, noise=0.2)
    for _ in range(300):
        rows = draw.randint(1, 64)
        model.saw(rows, factor * (0.001 + 0.0002 * rows))
    assert model.estimate.run_s(16) == pytest.approx(factor * 0.0042, rel=0.15)


def test_the_line_goes_through_runs_of_one_size() -> None:
    model = LatencyModel(Estimate(0.001, 0.0005))
    for _ in range(2_000):
        model.saw(4, 0.009)
    assert model.estimate.run_s(4) == pytest.approx(0.009, rel=0.02)
    assert 0.0 <= model.estimate.row_s <= 0.009 / 4


@given(st.integers(0, 1_000))
def test_about_one_run_in_a_hundred_is_slower_than_the_slow_ones_are_expected_to_be(seed: int) -> None:
    draw = random.Random(seed)
    model = LatencyModel(Estimate(0.001, 0.0001))
    late = 0
    for number in range(6_000):
        rows = draw.randint(1, 32)
        run_s = (0.001 + 0.0001 * rows) * draw.lognormvariate(0.0, 0.3)
        late += number >= 2_000 and run_s > model.estimate.late_s(rows)
        model.saw(rows, run_s)
    assert 0.003 <= late / 4_000 <= 0.03


def test_rows_within_a_time_are_as_many_as_fit() -> None:
    estimate = Estimate(0.002, 0.001, margin=2.0)
    assert estimate.most_rows(0.020) == pytest.approx(8.0)
    assert estimate.late_s(8) == pytest.approx(0.020)
    assert estimate.most_rows(0.004) == 0.0
    assert Estimate(0.002, 0.0).most_rows(0.020) == float("inf")
