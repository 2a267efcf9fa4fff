"""The factors of which evidence is made: fair where the canary is as allowed, and the formula of the docstring."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from ville import BernoulliTest

from serving.rollouts.alternatives import WORSE, Alternatives, Family, better, evenly, other
from serving.rollouts.drift import tilts
from serving.rollouts.e_process import mixture


def worse(column: int, phi0: float, share: float = 1.0) -> Family:
    return evenly(column, phi0 * WORSE, share, phi0)


def expected_factors(table: Alternatives, phi: float, weight_bp: int, events: int) -> np.ndarray:
    """The mean of each alternative's factor over how `events` fall to the arms, where the true ratio is `phi`."""
    rho = weight_bp / 10_000
    pi = rho * phi / (rho * phi + 1 - rho)
    canary = np.arange(events + 1)[:, None]
    chance = np.array([comb(events, x) * pi**x * (1 - pi) ** (events - x) for x in range(events + 1)])
    growth = table.log_growth(canary, np.full_like(canary, events), weight_bp)
    means: np.ndarray = (chance[:, None] * np.exp(growth)).sum(axis=0)
    return means


@pytest.mark.parametrize("weight_bp", [100, 1_000, 5_000, 9_000])
@pytest.mark.parametrize("phi0", [1.0, 1.25])
def test_a_bet_on_a_worse_canary_is_fair_at_what_is_allowed_and_loses_below_it(weight_bp: int, phi0: float) -> None:
    table = Alternatives([[worse(0, phi0)]])
    assert expected_factors(table, phi0, weight_bp, 7) == pytest.approx(1.0)
    assert (expected_factors(table, 0.8 * phi0, weight_bp, 7) < 1.0).all()
    assert (expected_factors(table, 2.0 * phi0, weight_bp, 7) > 1.0).all()


@pytest.mark.parametrize("weight_bp", [1_000, 5_000])
def test_a_bet_that_the_canary_does_no_harm_is_fair_at_the_margin_and_loses_above_it(weight_bp: int) -> None:
    table = Alternatives([[evenly(0, better(1.75), 1.0, 1.75)]])
    assert expected_factors(table, 1.75, weight_bp, 7) == pytest.approx(1.0)
    assert (expected_factors(table, 2.5, weight_bp, 7) < 1.0).all()


def test_a_bet_on_another_split_is_fair_at_the_weight() -> None:
    assert expected_factors(Alternatives([[other(0)]]), 1.0, 1_000, 9) == pytest.approx(1.0)


def test_bets_on_other_scores_are_fair_in_every_bin() -> None:
    table = Alternatives([[tilts(0, 10)]])
    for column in range(10):
        counts = np.zeros((1, 10), np.int64)
        counts[0, column] = 1
        on_canary, on_stable = (np.exp(table.log_growth(canary, counts, 1_000)) for canary in (counts, 0 * counts))
        assert 0.1 * on_canary + 0.9 * on_stable == pytest.approx(np.ones((1, table.size)))


def test_gates_of_different_shapes_keep_their_places() -> None:
    gates = [[tilts(0, 4)], [worse(4, 1.0)], [other(5)], [worse(6, 1.0, 0.5), worse(7, 1.0, 0.5)]]
    together = Alternatives(gates)
    canary = np.array([[3, 0, 1, 2, 6, 1, 4, 9]])
    both = canary + 20
    alone = [mixture(table := Alternatives([gate]), table.log_growth(canary, both, 1_000)[0])[0] for gate in gates]
    assert mixture(together, together.log_growth(canary, both, 1_000)[0]).tolist() == pytest.approx(alone)


def test_the_evidence_is_near_that_of_ville_for_a_constant_weight() -> None:
    canary, both = 60, 300
    theirs = BernoulliTest(0.1, alpha=0.05, prior=(0.5, 0.5))
    theirs.update(np.array([1.0] * canary + [0.0] * (both - canary)))
    table = Alternatives([[worse(0, 1.0)]])
    ours = np.log(mixture(table, table.log_growth(np.array([[canary]]), np.array([[both]]), 1_000)[0])[0])
    # One-sided and with another prior: so many times more or less, where the evidence is over 10,000.
    assert ours == pytest.approx(np.log(theirs.e_values_[-1]), abs=2.0)
    assert ours > 9.0


def test_alternatives_of_scores_leave_their_number_as_it_is() -> None:
    """Else they would bet on the split as well, which has a gate of its own."""
    assert tilts(0, 10).phis.mean(axis=0) == pytest.approx(np.ones(tilts(0, 10).shares.size))
    assert tilts(0, 10).shares.sum() == pytest.approx(1.0)
