"""MLPerf's rule for percentiles."""

from __future__ import annotations

from math import comb

import pytest

from loadtests.judging.early_stopping import holds, most_over


def at_most(requests: int, over: int, share: float) -> float:
    """The binomial distribution, term by term."""
    return sum(comb(requests, k) * (1 - share) ** k * share ** (requests - k) for k in range(over + 1))


@pytest.mark.parametrize("requests", [459, 662, 1_000, 5_000])
def test_the_bound_is_the_last_that_the_binomial_test_permits(requests: int) -> None:
    most = most_over(requests, 0.99)
    assert at_most(requests, most, 0.99) <= 0.01 < at_most(requests, most + 1, 0.99)


def test_too_few_requests_prove_nothing() -> None:
    assert most_over(458, 0.99) == -1
    assert not holds(458, 0, 0.99)
    assert holds(459, 0, 0.99)
