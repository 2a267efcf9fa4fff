"""How scores may move: joint alternatives over the bins of a gate, which the stable version fills about equally.

A product over bins would be an e-value too, but has no recursion over start times, so each alternative moves all
bins together: the density ratio `phi(z)` of canary to stable scores at the bins' middles, as normal quantiles `z`, with
its mean over the bins brought to 1. The test of equality in distribution from which this comes: Shekhar and Ramdas,
"Nonparametric two-sample testing by betting" (IEEE Transactions on Information Theory, 2023).
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from serving.rollouts.alternatives import Family
from serving.rollouts.stratum import Floats

# Half of the mixture is for scores that move as a whole, which is what a retrained or a wrongly fed model does.
_SHARES = {"linear": 0.5, "quadratic": 0.2, "one_sided": 0.2, "single": 0.1}


def tilts(first_column: int, bins: int) -> Family:
    """Shifts, changes of spread, changes of one tail, and single bins that gain or lose."""
    z = _middles(bins)
    shapes = {
        "linear": [np.exp(theta * z) for theta in (-1.0, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5, 1.0)],
        "quadratic": [np.exp(theta * z * z) for theta in (-0.4, -0.2, -0.1, 0.1, 0.2, 0.4)],
        "one_sided": [np.exp(by * np.maximum(side * z, 0)) for by in (-0.5, -0.25, 0.25, 0.5) for side in (-1, 1)],
        "single": [_single(bins, place, size) for place in range(bins) for size in (0.3, 2.0, 5.0)],
    }
    phis = np.array([shape / shape.mean() for family in shapes.values() for shape in family]).T
    shares = np.concatenate([np.full(len(family), _SHARES[name] / len(family)) for name, family in shapes.items()])
    return Family(tuple(range(first_column, first_column + bins)), phis, shares)


def shift(spreads: float, bins: int) -> Floats:
    """Density ratios of scores that have moved by so many of their standard deviations."""
    shape = np.exp(spreads * _middles(bins))
    moved: Floats = shape / shape.mean()
    return moved


def _middles(bins: int) -> Floats:
    return np.array([NormalDist().inv_cdf((place + 0.5) / bins) for place in range(bins)])


def _single(bins: int, place: int, size: float) -> Floats:
    shape = np.ones(bins)
    shape[place] = size
    return shape
