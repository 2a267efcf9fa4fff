"""Bets on events of runs: the rows of a batch are slow together, so that a run, and no row, is one observation.

Of a slow run the canary is not the cause with the probability of its weight: a small share makes small batches, and so
more runs for as many rows. With `C` runs of the canary and `S` of the stable version among those of about as many rows,
and `rho = C / (C + S)`, a stratum with `x` slow runs of the canary and `n` of both has the factor

    ln r = x ln(phi / phi0) - n ln((rho phi + 1 - rho) / (rho phi0 + 1 - rho))

summed over sizes. Let `p` be the mean of the canary's chances to be slow, run by run, and `q` that of the stable
version's, whatever they are and however they move. With `u = (phi - phi0) / (rho phi + 1 - rho)`, and `1 + z <= e^z`
for each run,

    ln E[r] <= C p u (1 - rho) / phi0 - S q u rho = u C S / (C + S) (p / phi0 - q)

which is 0 at most where `p <= phi0 q`: a fair bet at what is allowed, for every number of runs. The question is that of
Lindon and Malek (NeurIPS 2022), asked of runs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from serving.rollouts.stratum import Floats


class RunFamily(NamedTuple):
    """The same ratios `phis` in each bin of a gate; `columns` are bins by classes of size.

    `runs` are the columns in which all runs of a class are counted, `shares` those of the mixture within a bin.
    """

    columns: tuple[tuple[int, ...], ...]
    runs: tuple[int, ...]
    phis: Floats
    shares: Floats
    phi0: float

    def all_shares(self) -> Floats:
        """Of all bins, one after the other."""
        return np.tile(self.shares, len(self.columns))


class RunBlock:
    """What one gate's alternatives say of strata."""

    __slots__ = ("_by_class", "_columns", "_log_ratios", "_phi0", "_phis")

    def __init__(self, family: RunFamily) -> None:
        self._columns = np.array(family.columns)
        self._by_class = list(zip(self._columns.T, family.runs, strict=True))
        self._phis, self._phi0 = family.phis, family.phi0
        self._log_ratios = np.log(family.phis / family.phi0)

    def of_weight(self, rho: float) -> Floats:
        """The weight has no say: how many runs there were does."""
        return np.array([rho])

    def log_growth(self, canary: Floats, both: Floats, of_weight: Floats) -> Floats:
        """Strata by alternatives, of events and runs by column."""
        del of_weight
        # Whole numbers, of which no sum is rounded.
        growth = canary[:, self._columns].sum(axis=2)[:, :, None] * self._log_ratios
        for columns, runs in self._by_class:
            slow = both[:, columns]
            if slow.any():
                share = share_of(canary[:, runs], both[:, runs])[:, None]
                odds = np.log((share * self._phis + 1 - share) / (share * self._phi0 + 1 - share))
                growth -= slow[:, :, None] * odds[:, None, :]
        by_stratum: Floats = growth.reshape(len(canary), growth.shape[1] * growth.shape[2])
        return by_stratum


def share_of(canary: Floats, both: Floats) -> Floats:
    """The canary's share of runs; where there are none all of them, with which nothing is to be won."""
    share: Floats = np.divide(canary, both, out=np.ones_like(both), where=both > 0)
    return share
