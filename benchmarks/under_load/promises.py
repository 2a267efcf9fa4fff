"""What was promised against what was measured: kept, missed, or not known since the load was invalid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np


class Promise(NamedTuple):
    """`got` is None where nothing was measured.

    `valid` is False where the generator lagged, `whole` where less was asked than should have been.
    """

    what: str
    wanted: str
    got: float | None
    kept: bool
    valid: bool = True
    whole: bool = True

    @property
    def verdict(self) -> str:
        """As people read it: with less asked a promise cannot be kept, but missed it is."""
        if not self.valid or (self.kept and not self.whole):
            return "invalid"
        return "kept" if self.kept else "missed"

    def of(self, *loads: Mapping[str, Any]) -> Promise:
        """The same, measured by these loads."""
        valid, whole = all(load["valid"] for load in loads), all(load["whole"] for load in loads)
        return self._replace(valid=valid, whole=whole)


def at_most(what: str, got: float | None, most: float) -> Promise:
    """Kept where it is no more; without a figure it is missed."""
    return Promise(what, f"<= {most:g}", got, got is not None and got <= most)


def at_least(what: str, got: float | None, least: float) -> Promise:
    """Kept where it is no less; without a figure it is missed."""
    return Promise(what, f">= {least:g}", got, got is not None and got >= least)


def rows_of(promises: Sequence[Promise]) -> list[dict[str, Any]]:
    """For the results file."""
    return [{**promise._asdict(), "verdict": promise.verdict} for promise in promises]


def median_interval(values: Sequence[float], seed: int = 1, draws: int = 10_000) -> tuple[float, float, float]:
    """The median and its bootstrap interval of 95 % (percentile method, Efron 1979)."""
    given = np.asarray(values)
    drawn = np.random.default_rng(seed).choice(given, size=(draws, len(given)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(median(values)), float(low), float(high)


def ratios(by: Mapping[tuple[int, str], float | None], name: str, base: str) -> list[float]:
    """Of a figure by round and name: that of `name` to that of `base` in each round that has both."""
    of = [(by.get((number, name)), by.get((number, base))) for number in sorted({number for number, _ in by})]
    return [ours / theirs for ours, theirs in of if ours is not None and theirs is not None]


def median_ratio(by: Mapping[tuple[int, str], float | None], name: str, base: str) -> float | None:
    """The median of `ratios`; None where there is none."""
    found = ratios(by, name, base)
    return median(found) if found else None
