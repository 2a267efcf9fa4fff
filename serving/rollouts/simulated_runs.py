"""Runs as a simulated world has them: how many rows each had, and how many bounds of latency it exceeded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.rollouts.stratum import Counts, Floats
from serving.rollouts.world import BOUNDS_MS, Batches, shares_over
from serving.routing.table import RUN_SIZES, TURN_S

# A run of 64 rows takes 1.9 times as long as one of a single row.
_LONGER_BY_ROWS = 0.15
_SMALLEST = 2 ** np.arange(RUN_SIZES)


class Speed(NamedTuple):
    """How slow an arm is: all of its runs by a factor, and those with one of a share of rows by another one."""

    factor: float = 1.0
    slow_share: float = 0.0
    slow_factor: float = 1.0

    def over(self, rows: float = 1.0) -> Floats:
        """The share of runs of so many rows above each bound."""
        return _over(self.factor * rows**_LONGER_BY_ROWS, 1 - (1 - self.slow_share) ** rows, self.slow_factor)


NORMAL = Speed()
_over = lru_cache(maxsize=256)(shares_over)


@dataclass(frozen=True, slots=True)
class Runs:
    """Of one arm: rows of each run, the class of its size, and the bounds it exceeds; `leads` began a turn each."""

    rows: NDArray[np.intp]
    sizes: NDArray[np.intp]
    levels: NDArray[np.intp]
    leads: NDArray[np.bool_]

    def columns(self, of: NDArray[np.bool_] | slice = slice(None)) -> Counts:
        """As the gate has them: slow ones by bound and size, and behind them all by size."""
        slow = over(self.levels[of], self.sizes[of])
        return np.concatenate([slow.ravel(), np.bincount(self.sizes[of], minlength=RUN_SIZES)])

    def over_by_row(self) -> Counts:
        """Rows above each bound, as if each had been slow by itself."""
        at_level = np.bincount(self.levels, weights=self.rows, minlength=len(BOUNDS_MS) + 1).astype(np.int64)
        return _above(at_level)


def of_one_row(count: int, length_s: float, speed: Speed, draw: np.random.Generator) -> Runs:
    """Every request runs by itself."""
    shares = -np.diff(np.concatenate([[1.0], speed.over(), [0.0]]))
    levels = np.repeat(np.arange(len(BOUNDS_MS) + 1), draw.multinomial(count, shares))
    draw.shuffle(levels)
    return Runs(np.ones(count, np.intp), np.zeros(count, np.intp), levels, leading(count, length_s, draw))


def run_together(batches: Batches, rows: int, length_s: float, speed: Speed, draw: np.random.Generator) -> Runs:
    """So many rows of an arm, that come within so long, in runs of as many as had gathered."""
    gathered = 1 + rows / length_s * batches.gathered_s
    sizes_of = _cut(draw.geometric(1 / gathered, max(rows, 1)), batches.most, rows)
    sizes = np.minimum(np.frexp(sizes_of)[1], RUN_SIZES) - 1
    # The shares of the class, of a run in the middle of it.
    over_of = np.array([speed.over(1.5 * smallest if smallest > 1 else 1.0) for smallest in _SMALLEST.tolist()])
    levels = (draw.random(sizes_of.size)[:, None] < over_of[sizes]).sum(axis=1)
    longer: Floats = sizes_of.astype(np.float64) ** _LONGER_BY_ROWS
    levels[_stalled(batches, longer, draw)] = len(BOUNDS_MS)
    return Runs(sizes_of, sizes, levels, leading(sizes_of.size, length_s, draw))


def over(levels: NDArray[np.intp], sizes: NDArray[np.intp]) -> Counts:
    """Runs by bound and class of size that exceed it."""
    at = np.bincount(levels * RUN_SIZES + sizes, minlength=(len(BOUNDS_MS) + 1) * RUN_SIZES)
    return _above(at.reshape(-1, RUN_SIZES))


def _cut(drawn: NDArray[np.int64], most: int, rows: int) -> NDArray[np.intp]:
    """As many runs as the rows make; the last one has what is left."""
    ends = np.minimum(np.cumsum(np.minimum(drawn, most)), rows)
    sizes: NDArray[np.intp] = np.diff(ends, prepend=0)
    return sizes[sizes > 0]


def leading(runs: int, length_s: float, draw: np.random.Generator) -> NDArray[np.bool_]:
    """The first of each turn, where runs begin at any time."""
    turns = np.floor(np.sort(draw.random(runs)) * length_s / TURN_S)
    return np.diff(turns, prepend=-1.0) > 0


def _stalled(batches: Batches, longer: Floats, draw: np.random.Generator) -> NDArray[np.bool_]:
    hit = np.zeros(longer.size, np.bool_)
    for first in np.flatnonzero(draw.random(longer.size) < batches.stalls * longer):
        hit[first : first + draw.geometric(1 / batches.lasts)] = True
    return hit


def _above(at_level: Counts) -> Counts:
    return np.cumsum(at_level[::-1], axis=0)[::-1][1:]
