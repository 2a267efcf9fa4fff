"""Verdicts on what was promised, and intervals."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.under_load.promises import at_least, at_most, median_interval


def test_a_bound_itself_keeps_a_promise() -> None:
    assert at_most("ms", 10, 10).verdict == at_least("share", 0.9, 0.9).verdict == "kept"
    assert at_most("ms", 10.1, 10).verdict == at_least("share", 0.89, 0.9).verdict == "missed"


def test_what_was_not_measured_is_not_kept_and_an_invalid_load_says_nothing() -> None:
    assert at_most("ms", None, 10).verdict == at_least("share", None, 0.9).verdict == "missed"
    assert at_most("ms", 1, 10, valid=False).verdict == at_least("share", 0.1, 0.9, valid=False).verdict == "invalid"


def test_the_interval_holds_the_median_and_shrinks_with_more_pairs() -> None:
    ratios = np.random.default_rng(3).normal(1, 0.05, 400).tolist()
    middle, low, high = median_interval(ratios)
    assert low <= middle <= high
    _, few_low, few_high = median_interval(ratios[:10])
    assert high - low < (few_high - few_low) / 2


def test_equal_pairs_leave_nothing_open() -> None:
    assert median_interval([1.0] * 10) == pytest.approx((1, 1, 1))
