"""Which entries are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.payload.keys import chosen, mixed
from loadtests.scenario.scenario import Keys, User


def random() -> np.random.Generator:
    return np.random.default_rng(3)


def test_zipf_s_first_key_is_asked_for_as_often_as_the_law_says() -> None:
    picks = chosen(Keys(pick="zipf", exponent=1.0), 1_000, 200_000, random())
    harmonic = (1 / np.arange(1, 1_001)).sum()
    assert (picks == 0).mean() == pytest.approx(1 / harmonic, rel=0.03)
    assert (picks == 9).mean() == pytest.approx(0.1 / harmonic, rel=0.1)
    assert picks.max() < 1_000


def test_uniform_keys_are_all_alike() -> None:
    counts = np.bincount(chosen(Keys(pick="uniform"), 10, 100_000, random()), minlength=10)
    assert counts == pytest.approx(np.full(10, 10_000), rel=0.05)


def test_listed_keys_are_asked_for_in_their_order_round_and_round() -> None:
    assert chosen(Keys(pick="listed"), 3, 7, random()).tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_once_asks_for_every_key_before_any_comes_again() -> None:
    picks = chosen(Keys(pick="once"), 7, 20, random())
    assert len(picks) == 20
    assert set(picks[:7]) == set(picks[7:14]) == set(range(7))


def test_users_are_mixed_by_their_shares() -> None:
    users = [User(name="a", share=3), User(name="b", share=1)]
    assert (mixed(users, 100_000, random()) == 0).mean() == pytest.approx(0.75, abs=0.01)
