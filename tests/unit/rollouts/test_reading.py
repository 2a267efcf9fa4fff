"""A gate's numbers: the bin that says most, the ratio over all weights, and bounds for display."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from serving.rollouts.evidence import Evidence, nothing, values, with_strata
from serving.rollouts.gate import Gate, GateSet, Kind
from serving.rollouts.reading import Reading, effect, read
from serving.rollouts.stratum import Counts, Stratum, per_request

ERRORS = Gate("errors", Kind.RATE, 0.02)
LATENCY = Gate("latency", Kind.LATENCY, 0.01, bins=3, phi0=1.25)
SCORES = Gate("scores", Kind.DRIFT, 0.01, bins=4)
GATES = GateSet([ERRORS, LATENCY, SCORES])


def seen(*strata: tuple[int, Counts, Counts]) -> Evidence:
    """One slice for each: weight, canary's and stable version's events by column."""
    return with_strata(
        GATES,
        nothing(GATES),
        [
            per_request(Stratum(place, place, place, weight_bp), np.array([1_000, 9_000]), canary, stable)
            for place, (weight_bp, canary, stable) in enumerate(strata)
        ],
    )


def reading(evidence: Evidence, gate: Gate) -> Reading:
    return read(GATES, evidence, gate, values(GATES, evidence))


def columns(**events: list[int]) -> Counts:
    found = np.zeros(GATES.columns, np.int64)
    for name, counts in events.items():
        found[GATES.firsts[name] : GATES.firsts[name] + len(counts)] = counts
    return found


def runs(slow: list[int], ran: int, size: int = 0) -> Counts:
    """Runs of one class of size, of which so many were slower than each bound."""
    found = np.zeros(GATES.columns, np.int64)
    for place, count in enumerate(slow):
        found[GATES.columns_in(LATENCY, place)[size]] = count
    found[GATES.runs_of(LATENCY)[size]] = ran
    return found


def test_before_anything_was_seen_there_is_nothing_to_compare() -> None:
    found = reading(nothing(GATES), ERRORS)
    assert (found.evidence, found.events, found.requests, found.ratio) == (1.0, (0, 0), (0, 0), 0.0)
    assert effect(GATES, nothing(GATES), found).ratio == (0.0, inf)


def test_the_bound_of_which_the_canary_has_most_too_many_is_told() -> None:
    canary, stable = runs([100, 60, 1], 300), runs([900, 100, 9], 2_700)
    found = reading(seen((1_000, canary, stable)), LATENCY)
    assert (found.bin, found.events, found.requests) == (1, (60, 100), (300, 2_700))
    assert found.ratio == pytest.approx(5.4)
    lower, upper = effect(GATES, seen((1_000, canary, stable)), found).ratio
    assert 2.5 < lower < 5.4 < upper < 12.0


def test_runs_are_compared_with_those_of_about_as_many_rows() -> None:
    """Of both sizes the canary's are as often slow, though it has nearly all of the small ones, which are fast."""
    canary = runs([9, 9, 9], 900) + runs([10, 10, 10], 20, size=5)
    stable = runs([1, 1, 1], 100) + runs([500, 500, 500], 1_000, size=5)
    found = reading(seen((1_000, canary, stable)), LATENCY)
    assert found.events == (19, 501)
    assert found.requests == (920, 1_100)
    assert found.ratio == pytest.approx(1.0)
    assert found.evidence < 1.0


def test_of_scores_the_bin_that_differs_most_either_way_is_told() -> None:
    evidence = seen((1_000, columns(scores=[20, 20, 2, 20]), columns(scores=[180, 180, 180, 180])))
    assert reading(evidence, SCORES).bin == 2
    assert reading(evidence, SCORES).events == (62, 720)


def test_the_ratio_is_estimated_within_weights_and_not_of_sums() -> None:
    """Three times as many in each weight, which the sums would not show."""
    strata = [
        (1_000, columns(errors=[3]), columns(errors=[9])),
        (5_000, columns(errors=[30]), columns(errors=[10])),
    ]
    found = reading(seen(*strata), ERRORS)
    assert found.ratio == pytest.approx(3.0)
    lower, upper = effect(GATES, seen(*strata), found).ratio
    assert 1.0 < lower < 3.0 < upper < 10.0


def test_rates_of_both_arms_have_bounds() -> None:
    evidence = seen((1_000, columns(errors=[10]), columns(errors=[90])))
    found = effect(GATES, evidence, reading(evidence, ERRORS))
    assert found.canary[0] < 0.01 < found.canary[1] < 0.04
    assert found.stable[0] < 0.01 < found.stable[1] < 0.015
