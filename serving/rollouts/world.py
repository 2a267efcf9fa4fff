"""A described world: how much traffic, whose, how it fails by itself, and what is wrong with the canary since when."""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, exp, log, sqrt
from statistics import NormalDist

import numpy as np

from serving.rollouts.plan import Measured, tails_of
from serving.rollouts.stratum import Floats

# Bounds of the histogram of answers, in milliseconds, and the answers of the stable version: log-normal.
BOUNDS_MS = (5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0, 50.0, 75.0)
_MEDIAN_MS, _SPREAD = 8.0, 0.4
SCORE_BINS = 10


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the canary: from a time, from a step of the plan, or while the load is high."""

    error_ratio: float = 1.0
    latency_factor: float = 1.0
    slow_share: float = 0.0
    slow_factor: float = 8.0
    score_shift: float = 0.0
    from_s: float = 0.0
    from_step: int = 0
    above_load: float = 0.0


@dataclass(frozen=True, slots=True)
class Peak:
    """Load grows to `factor` times the usual one at `at_s`, and is that much for about `width_s` on both sides."""

    at_s: float
    width_s: float
    factor: float


@dataclass(frozen=True, slots=True)
class Batches:
    """Each arm's requests run together: as many as come within `gathered_s` on average, `most` at most.

    A machine that is busy with other things stalls a share of runs (`stalls`, of one row: more of longer ones),
    and then `lasts` runs of that arm one after the other on average, which all take longer than every bound.
    """

    gathered_s: float = 1.0
    most: int = 64
    stalls: float = 0.0
    lasts: float = 1.0


@dataclass(frozen=True, slots=True)
class World:
    """With `keys` users are sticky, some very busy (`key_spread`) and some failing much (`error_spread`); 0: none are.

    The rate of errors moves between half and twice `error_rate` where it `drifts`, once up and down in two hours.
    `outage` is what is wrong with both arms alike, from its time on. Without `batches` each request runs by itself.
    `look_s` is the time between looks, `fine_from_s` the time from which on looks are a second apart.
    """

    requests_per_min: float = 1_000.0
    error_rate: float = 0.01
    drifts: bool = True
    keys: int = 0
    key_spread: float = 1.5
    error_spread: float = 1.0
    missing_rate: float = 0.002
    fault: Fault = Fault()
    peak: Peak | None = None
    outage: Fault | None = None
    batches: Batches | None = None
    look_s: int = 5
    fine_from_s: float = float("inf")

    def load(self, now_s: float) -> float:
        """How many times the usual traffic there is."""
        if self.peak is None:
            return 1.0
        return 1.0 + (self.peak.factor - 1.0) * exp(-(((now_s - self.peak.at_s) / self.peak.width_s) ** 2))

    def errors(self, now_s: float) -> float:
        """The stable version's rate of errors."""
        if not self.drifts:
            return self.error_rate
        phase = (now_s / 3_600) % 2
        return self.error_rate * 4 ** ((phase if phase < 1 else 2 - phase) - 0.5)

    def broken(self, now_s: float) -> bool:
        """Whether both arms are ill."""
        return self.outage is not None and now_s >= self.outage.from_s

    def faulty(self, now_s: float, step: int) -> bool:
        """Whether the canary's fault shows."""
        fault = self.fault
        return now_s >= fault.from_s and step >= fault.from_step and self.load(now_s) >= fault.above_load


def shares_over(factor: float = 1.0, slow_share: float = 0.0, slow_factor: float = 1.0) -> Floats:
    """The share of answers that take longer than each of `BOUNDS_MS`."""

    def tail(bound: float, by: float) -> float:
        return 0.5 * erfc(log(bound / (_MEDIAN_MS * by)) / (_SPREAD * sqrt(2)))

    return np.array(
        [(1 - slow_share) * tail(bound, factor) + slow_share * tail(bound, factor * slow_factor) for bound in BOUNDS_MS]
    )


def score_shares(shift: float = 0.0) -> Floats:
    """The share of scores within each bin, of which the stable version fills all equally."""
    normal = NormalDist()
    edges = [normal.inv_cdf(place / SCORE_BINS) for place in range(1, SCORE_BINS)]
    below = [0.0, *(normal.cdf(edge - shift) for edge in edges), 1.0]
    return np.diff(below)


def measured() -> Measured:
    """What would be known of the stable version at the start."""
    return Measured(len(BOUNDS_MS), tails_of([float(share) for share in shares_over()]), SCORE_BINS)
