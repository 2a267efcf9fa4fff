"""Evidence about one rate that has a limit, without another arm: against those who keep to it, and that it is kept.

Where the rate is `largest` at most, whatever happened before, each of the bets

    r = (p / largest)^x ((1 - p) / (1 - largest))^(n - x)        p > largest

on `x` of `n` pairs does not grow on average, so their mean is an e-process, as is the mean over all starts
(`e_process.py`); with `p < largest` the same holds of those whose rate is `largest` or more. Sources: Wald, "Sequential
tests of statistical hypotheses" (Annals of Mathematical Statistics 1945); Ville, 1939; for rates that move within the
limit, Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B 2024).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serving.rollouts.e_process import EProcess, folded, not_begun
from serving.rollouts.stratum import Floats

# Odds of the rates that are bet on, in those of the limit: from little more to nearly always, and from hardly ever to
# little less.
_OVER = np.geomspace(1.1, 100.0, 33)
_UNDER = np.geomspace(0.01, 1 / 1.15, 12)
_MOST_LOG = 300.0


def begin() -> EProcess:
    """Before anything was seen: evidence of 1."""
    return EProcess(0, np.zeros(_OVER.size))


def grown(process: EProcess, largest: float, seen: Sequence[tuple[int, int, int]]) -> EProcess:
    """With more slices, each with its number, its events and its pairs."""
    growth = np.array([_log_growth(_OVER, largest, events, pairs) for _, events, pairs in seen])
    return folded(process, growth, [time_slice for time_slice, _, _ in seen]) if seen else process


def against(process: EProcess) -> float:
    """Evidence that the rate is above its limit, or has been since some time."""
    return float(process.a.mean()) + not_begun(process.next_slice)


def kept(largest: float, events: int, pairs: int) -> float:
    """Evidence that the rate is below its limit, of all that was seen."""
    growth = _log_growth(_UNDER, largest, events, pairs)
    return float(np.exp(np.clip(growth, -_MOST_LOG, _MOST_LOG)).mean())


def pairs_to_keep(largest: float, needed: float) -> int:
    """How many pairs without any event it takes to show that the limit is kept."""
    low, high = 0, 1
    while kept(largest, 0, high) < needed:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if kept(largest, 0, middle) >= needed else (middle, high)
    return high


def _log_growth(odds: Floats, largest: float, events: int, pairs: int) -> Floats:
    # Of the rate p whose odds are so many times those of the limit: p = odds * largest / below.
    below = odds * largest + 1 - largest
    growth: Floats = events * np.log(odds) - pairs * np.log(below)
    return growth
