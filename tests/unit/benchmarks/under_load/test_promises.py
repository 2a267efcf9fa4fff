"""Verdicts on what was promised, and intervals."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.under_load.promises import at_least, at_most, median_interval, median_ratio

GOOD = {"valid": True, "whole": True}


def test_a_bound_itself_keeps_a_promise() -> None:
    assert at_most("ms", 10, 10).verdict == at_least("share", 0.9, 0.9).verdict == "kept"
    assert at_most("ms", 10.1, 10).verdict == at_least("share", 0.89, 0.9).verdict == "missed"


def test_what_was_not_measured_is_not_kept_and_an_invalid_load_says_nothing() -> None:
    assert at_most("ms", None, 10).verdict == at_least("share", None, 0.9).verdict == "missed"
    lagged = {"valid": False, "whole": True}
    assert at_most("ms", 1, 10).of(GOOD, lagged).verdict == at_least("share", 0.1, 0.9).of(lagged).verdict == "invalid"


def test_with_less_asked_than_should_have_been_a_promise_can_be_missed_but_not_kept() -> None:
    short = {"valid": True, "whole": False}
    assert at_most("ms", 1, 10).of(short).verdict == "invalid"
    assert at_most("ms", 11, 10).of(GOOD, short).verdict == "missed"
    assert at_most("ms", 1, 10).of(GOOD).verdict == "kept"


def test_the_interval_holds_the_median_and_shrinks_with_more_pairs() -> None:
    ratios = np.random.default_rng(3).normal(1, 0.05, 400).tolist()
    middle, low, high = median_interval(ratios)
    assert low <= middle <= high
    _, few_low, few_high = median_interval(ratios[:10])
    assert high - low < (few_high - few_low) / 2


def test_equal_pairs_leave_nothing_open() -> None:
    assert median_interval([1.0] * 10) == pytest.approx((1, 1, 1))


def test_ratios_are_taken_within_a_round_and_those_without_both_sides_are_left_out() -> None:
    by = {(0, "ours"): 2.0, (0, "base"): 1.0, (1, "ours"): 9.0, (1, "base"): 3.0, (2, "ours"): 5.0, (3, "base"): None}
    assert median_ratio(by, "ours", "base") == pytest.approx(2.5)
    assert median_ratio(by, "nobody", "base") is None
