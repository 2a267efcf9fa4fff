"""What a canary might be like, and how much better that explains whose events they were than what is allowed does.

The gateway sends a request to the canary with the known probability `rho`, its weight. If the rate of an event (an
error, an answer slower than a bound, a score within a bin) is `phi` times as high on the canary, then of an event that
happened the canary is the cause with probability

    pi(phi, rho) = rho phi / (rho phi + 1 - rho)

whatever that rate is and however it moves over the day. A stratum with `x` such events on the canary and `n` on both
arms speaks for `phi` against what is allowed, `phi0`, by the factor whose logarithm is

    x ln(phi / phi0) - n ln((rho phi + 1 - rho) / (rho phi0 + 1 - rho))

Source: Lindon and Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022), on inhomogeneous
Bernoulli processes; here the weight is that of each event.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from serving.rollouts.run_alternatives import RunBlock, RunFamily
from serving.rollouts.stratum import WHOLE_BP, Counts, Floats

# Behind all shapes of families.
_LAST = 1_000_000


class Family(NamedTuple):
    """Alternatives over the same columns: ratios `phis`, columns by alternatives, and shares of the mixture.

    Columns that are not named are as `phi0` allows.
    """

    columns: tuple[int, ...]
    phis: Floats
    shares: Floats
    phi0: float = 1.0


class Alternatives:
    """The alternatives of several gates as one table, so that all gates cost a few passes of NumPy.

    Families of one gate are of one shape. Those of equal shape are worked on together (`_Block`), those of runs gate by
    gate (`RunBlock`), and the table has its alternatives in the order of the blocks.
    """

    __slots__ = ("_blocks", "_gate_starts", "_of_weight", "_places", "_shares", "_sizes", "size")

    def __init__(self, gates: Sequence[Sequence[Family] | RunFamily]) -> None:
        shapes = [_shape(families, place) for place, families in enumerate(gates)]
        order = sorted(range(len(gates)), key=lambda place: shapes[place])
        self._blocks = [
            _block([gates[place] for place in members])
            for _, members in groupby(order, key=lambda place: shapes[place])
        ]
        shares = [_shares(gates[place]) for place in order]
        self._sizes = [of_gate.size for of_gate in shares]
        self.size = sum(self._sizes)
        self._gate_starts = np.cumsum([0, *self._sizes[:-1]])
        self._places = np.argsort(order)
        self._shares = np.concatenate(shares)
        # A rollout has few weights, and logarithms are most of the work.
        self._of_weight: dict[int, list[Floats]] = {}

    def log_growth(self, canary: Counts, both: Counts, weight_bp: int) -> Floats:
        """The logarithm of each alternative's factor in each stratum, all of one weight.

        `canary` and `both` are events (and runs, where these are asked), strata by columns; the result is strata by
        alternatives. A stratum's row does not depend on what others it is computed with.
        """
        if weight_bp not in self._of_weight:
            self._of_weight[weight_bp] = [block.of_weight(weight_bp / WHOLE_BP) for block in self._blocks]
        x, n = canary.astype(np.float64), both.astype(np.float64)
        parts = zip(self._blocks, self._of_weight[weight_bp], strict=True)
        return np.concatenate([block.log_growth(x, n, of_weight) for block, of_weight in parts], axis=1)

    def by_gate(self, values: Floats) -> Floats:
        """Each gate's weighted mean over its alternatives."""
        return np.add.reduceat(values * self._shares, self._gate_starts)[self._places]

    def of_gate(self, values: Floats, place: int) -> Floats:
        """The values of one gate's alternatives, bin by bin."""
        at = int(self._places[place])
        first = int(self._gate_starts[at])
        return values[first : first + self._sizes[at]]


def _shape(families: Sequence[Family] | RunFamily, place: int) -> tuple[int, ...]:
    """What is worked on together is alike in it."""
    return (_LAST, place) if isinstance(families, RunFamily) else families[0].phis.shape


def _shares(families: Sequence[Family] | RunFamily) -> Floats:
    if isinstance(families, RunFamily):
        return families.all_shares()
    return np.concatenate([family.shares for family in families])


def _block(gates: Sequence[Sequence[Family] | RunFamily]) -> _Block | RunBlock:
    families: list[Family] = []
    for gate in gates:
        if isinstance(gate, RunFamily):
            return RunBlock(gate)
        families += gate
    return _Block(families)


class _Block:
    """Families of one shape: arrays of families by columns by alternatives."""

    __slots__ = ("_columns", "_log_ratios", "_phi0s", "_phis")

    def __init__(self, families: Sequence[Family]) -> None:
        self._columns = np.array([family.columns for family in families])
        self._phis = np.array([family.phis for family in families])
        self._phi0s = np.array([family.phi0 for family in families])[:, None, None]
        self._log_ratios = np.log(self._phis / self._phi0s)

    def of_weight(self, rho: float) -> Floats:
        odds: Floats = np.log((rho * self._phis + 1 - rho) / (rho * self._phi0s + 1 - rho))
        return odds

    def log_growth(self, canary: Floats, both: Floats, log_odds: Floats) -> Floats:
        growth = np.zeros((len(canary), len(self._columns), self._phis.shape[2]))
        # Summed column by column and not by a product of matrices, whose last bits depend on the number of strata;
        # broadcast and not gathered, which takes 17 times as long.
        for place, columns in enumerate(self._columns.T):
            growth += canary[:, columns, None] * self._log_ratios[:, place]
            growth -= both[:, columns, None] * log_odds[:, place]
        return growth.reshape(len(canary), growth.shape[1] * growth.shape[2])


# 25 ratios between 1.1 and 10 times what is allowed, evenly on a logarithmic scale.
WORSE = np.geomspace(1.1, 10.0, 25)


def better(margin: float) -> Floats:
    """9 ratios between a half and a little less than `margin`: against all that are no better than it."""
    return np.geomspace(0.5, margin / 1.15, 9)


def other(column: int) -> Family:
    """Ratios on both sides of 1, close ones as well: every request counts, so that little is already seen."""
    sizes = np.array([1.02, 1.05, *np.geomspace(1.1, 5.0, 10)])
    return evenly(column, np.concatenate([1 / sizes, sizes]), 1.0, 1.0)


def evenly(column: int, phis: Floats, share: float = 1.0, phi0: float = 1.0) -> Family:
    """Single ratios of one column with equal shares, which add up to `share`."""
    return Family((column,), phis[None, :], np.full(phis.size, share / phis.size), phi0)
