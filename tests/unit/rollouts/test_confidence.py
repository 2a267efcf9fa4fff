"""Bounds that hold at all times, held against the package ville, which has the case of a constant weight."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from ville import BernoulliCS

from serving.rollouts.alternatives import Alternatives, evenly
from serving.rollouts.confidence import RATIOS, rate_interval, ratio_interval


@pytest.mark.parametrize(("rate", "trials"), [(0.5, 40), (0.1, 700), (0.01, 2_000), (0.9, 300)])
def test_bounds_of_a_rate_are_those_of_ville(rate: float, trials: int) -> None:
    events = np.random.default_rng(4).random(trials) < rate
    theirs = BernoulliCS(alpha=0.05, prior=(0.5, 0.5), intersect=False)
    theirs.update(events.astype(float))
    lower, upper = rate_interval(int(events.sum()), trials, 0.05)
    assert lower == pytest.approx(theirs.lower_[-1], abs=1e-6)
    assert upper == pytest.approx(theirs.upper_[-1], abs=1e-6)


def test_no_event_in_a_thousand_bounds_the_rate_and_no_trial_bounds_nothing() -> None:
    assert rate_interval(0, 1_000, 0.05)[0] == 0.0
    assert rate_interval(0, 1_000, 0.05)[1] == pytest.approx(0.0070, abs=1e-4)
    assert rate_interval(0, 10_000, 0.05)[1] == pytest.approx(0.00082, abs=1e-5)
    assert rate_interval(5, 5, 0.05)[1] == 1.0
    assert rate_interval(0, 0, 0.05) == (0.0, 1.0)


@pytest.mark.parametrize(("canary", "stable"), [(40, 360), (90, 400), (12, 31), (5, 200)])
def test_bounds_of_a_ratio_are_those_of_ville_for_a_constant_weight(canary: int, stable: int) -> None:
    rho = 0.1
    theirs = BernoulliCS(alpha=0.05, prior=(0.5, 0.5), intersect=False)
    theirs.update(np.array([1.0] * canary + [0.0] * stable))
    odds = [bound / (1 - bound) / (rho / (1 - rho)) for bound in (theirs.lower_[-1], theirs.upper_[-1])]
    ratios = Alternatives([[evenly(0, RATIOS)]])
    seen = np.array([[canary]]), np.array([[canary + stable]])
    lower, upper = ratio_interval(ratios.log_growth(*seen, 1_000)[0], 0.05)
    # Another prior, and steps of 7 %: near, and not the same.
    assert np.log([lower, upper]) == pytest.approx(np.log(odds), abs=0.25)


def test_a_ratio_that_nothing_is_known_of_is_not_bounded() -> None:
    ratios = Alternatives([[evenly(0, RATIOS)]])
    none = np.zeros((1, 1), np.int64)
    assert ratio_interval(ratios.log_growth(none, none, 1_000)[0], 0.05) == (0.0, inf)
