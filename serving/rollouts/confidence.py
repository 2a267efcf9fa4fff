"""Bounds that hold at all times at once: of a rate, and of the ratio of two rates."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, lgamma, log, log1p

import numpy as np

from serving.rollouts.stratum import Floats

RATIOS = np.geomspace(1 / 50, 50, 121)
_HALVINGS = 24


def rate_interval(events: int, trials: int, alpha: float) -> tuple[float, float]:
    """The rates `p` against which the mixture over a Beta(1/2, 1/2) prior has not spoken `1/alpha`-fold:

        ln B(1/2 + x, 1/2 + n - x) - ln B(1/2, 1/2) - x ln p - (n - x) ln(1 - p) < ln(1/alpha)

    Source: Robbins, "Statistical methods related to the law of the iterated logarithm" (Annals of Mathematical
    Statistics 1970); Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
    sequences" (Annals of Statistics 2021). Exact for a rate that does not move.
    """
    if trials == 0:
        return 0.0, 1.0
    mixture = _log_beta(0.5 + events, 0.5 + trials - events) - _log_beta(0.5, 0.5) + log(alpha)

    def kept(rate: float) -> bool:
        return mixture < _log_likelihood(events, trials, rate)

    seen = events / trials
    lower = 0.0 if events == 0 else _border(kept, seen, 0.0)
    upper = 1.0 if events == trials else _border(kept, seen, 1.0)
    return lower, upper


def ratio_interval(log_likelihoods: Floats, alpha: float) -> tuple[float, float]:
    """All ratios of `RATIOS` against which the even mixture of them has not spoken `1/alpha`-fold.

    Source: Robbins 1970, as above, for the likelihood of `alternatives.py`. Bounds at the ends of the scale are
    open: 0 and infinity.
    """
    mixture = float(np.logaddexp.reduce(log_likelihoods)) - log(log_likelihoods.size)
    kept = np.flatnonzero(mixture - log_likelihoods < -log(alpha))
    lower = 0.0 if kept[0] == 0 else float(RATIOS[kept[0] - 1])
    upper = inf if kept[-1] == RATIOS.size - 1 else float(RATIOS[kept[-1] + 1])
    return lower, upper


def _border(kept: Callable[[float], bool], inside: float, outside: float) -> float:
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    # The bound is the side that is not kept, so that rounding never makes the interval too short.
    return outside


def _log_likelihood(events: int, trials: int, rate: float) -> float:
    if not 0.0 < rate < 1.0:
        return -inf
    return events * log(rate) + (trials - events) * log1p(-rate)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
