"""What is taken of many, and how much at most."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from serving.telemetry.tracing.choice import Bound, Share


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.9])
def test_a_share_is_taken_of_what_passes(share: float) -> None:
    taken = Share(share, Random(7).random)
    passed = 200_000
    count = sum(taken.takes() for _ in range(passed))
    # Six standard deviations of a binomial.
    assert abs(count - passed * share) < 6 * (passed * share * (1 - share)) ** 0.5


@pytest.mark.parametrize("share", [0.01, 0.7, 1.0, 0.0])
def test_many_that_pass_at_once_are_taken_as_they_are_one_by_one(share: float) -> None:
    one_by_one, at_once = Share(share, Random(7).random), Share(share, Random(7).random)
    taken = [place for place in range(64_000) if one_by_one.takes()]
    found = []
    for batch in range(1_000):
        found += [64 * batch + place for place in at_once.among(64)]
    assert found == taken


def test_one_taken_says_nothing_of_the_next() -> None:
    taken = Share(0.5, Random(7).random)
    passed = [taken.takes() for _ in range(40_000)]
    pairs = sum(one and other for one, other in itertools.pairwise(passed))
    assert abs(pairs - 10_000) < 600


def test_all_and_nothing_are_shares_too() -> None:
    assert all(Share(1.0, Random(7).random).takes() for _ in range(100))
    assert not any(Share(0.0, Random(7).random).takes() for _ in range(100))


def test_a_bound_lets_through_a_seconds_worth_at_once_and_then_as_time_passes() -> None:
    bound = Bound(2.0)
    assert [bound.takes(1.0) for _ in range(3)] == [True, True, False]
    assert [bound.takes(1.5) for _ in range(2)] == [True, False]
    assert [bound.takes(100.0) for _ in range(3)] == [True, True, False]
    # A clock that stands back gives nothing.
    assert not bound.takes(50.0)
