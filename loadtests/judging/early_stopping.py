"""MLPerf's rule for a percentile: enough requests that a lucky run does not pass, by the binomial test."""

from __future__ import annotations

import math

CONFIDENCE = 0.99


def most_over(requests: int, share: float, confidence: float = CONFIDENCE) -> int:
    """How many requests may be over the bound for `share` of all to hold with this confidence; -1: too few were asked.

    Were the true share just below, so few or fewer would be over with a probability of 1 - confidence at the most
    (MLPerf Inference, early stopping, https://arxiv.org/abs/1911.02549 and its rules, appendix of early stopping).
    """
    tail, over = 0.0, -1
    missing = 1 - share
    term = requests * math.log1p(-missing)
    while over < requests:
        tail += math.exp(term)
        if tail > 1 - confidence:
            return over
        over += 1
        term += (
            math.log((requests - over) / (over + 1)) + math.log(missing) - math.log1p(-missing)
            if over < requests
            else 0
        )
    return over


def holds(requests: int, over: int, share: float) -> bool:
    """Whether the bound holds with confidence."""
    return over <= most_over(requests, share)
