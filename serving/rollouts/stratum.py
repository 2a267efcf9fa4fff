"""What the evidence is made of: counts of events by arm, within which the canary's weight did not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SLICE_S = 5
WHOLE_BP = 10_000
ROWS = 6
# Rows of the counts of a stratum: the canary's and the stable version's, for each of three ways to count.
FIRST, IN_STEP, EVERY = slice(0, 2), slice(2, 4), slice(4, 6)

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


class Stratum(NamedTuple):
    """A slice of time (`SLICE_S` each, from the start of the rollout) under one routing table.

    The order of strata is the order in which they are judged.
    """

    slice: int
    generation: int
    step: int
    weight_bp: int


@dataclass(frozen=True, slots=True, eq=False)
class StratumCounts:
    """All counts of a stratum; what several workers saw is added up, in any order.

    `events` has six rows and a column for each bin of each gate (`GateSet` lays them out). Where keys are sticky a key
    is a single coin, so what is judged is only its first event of the rollout (`FIRST`) and of the step (`IN_STEP`);
    `EVERY` tells how much is left out. Where each request is assigned by itself the three are equal. `requests` and
    `keys` are by arm, canary first: all that were judged, and the keys that were new in this step (without keys: all).
    """

    stratum: Stratum
    requests: Counts
    keys: Counts
    events: Counts

    def plus(self, other: StratumCounts) -> StratumCounts:
        """Counts of another worker in the same stratum.

        Raises:
            ValueError: they are of another stratum.
        """
        if other.stratum != self.stratum:
            raise ValueError(f"counts of {other.stratum} cannot be added to those of {self.stratum}")
        return StratumCounts(
            self.stratum, self.requests + other.requests, self.keys + other.keys, self.events + other.events
        )


def per_request(stratum: Stratum, requests: Counts, canary: Counts, stable: Counts) -> StratumCounts:
    """Counts where no request is tied to another one; `canary` and `stable` are events by column."""
    return StratumCounts(stratum, requests, requests, np.stack([canary, stable] * (ROWS // 2)))
