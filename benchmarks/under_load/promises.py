"""What was promised against what was measured: kept, missed, or not known since the load was invalid."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np


class Promise(NamedTuple):
    """`got` is None where nothing was measured, `valid` False where the generator lagged or nothing was right."""

    what: str
    wanted: str
    got: float | None
    kept: bool
    valid: bool = True

    @property
    def verdict(self) -> str:
        """As people read it."""
        if not self.valid:
            return "invalid"
        return "kept" if self.kept else "missed"


def at_most(what: str, got: float | None, most: float, *, valid: bool = True) -> Promise:
    """Kept where it is no more; without a figure it is missed."""
    return Promise(what, f"<= {most:g}", got, got is not None and got <= most, valid)


def at_least(what: str, got: float | None, least: float, *, valid: bool = True) -> Promise:
    """Kept where it is no less; without a figure it is missed."""
    return Promise(what, f">= {least:g}", got, got is not None and got >= least, valid)


def rows_of(promises: Sequence[Promise]) -> list[dict[str, Any]]:
    """For the results file."""
    return [{**promise._asdict(), "verdict": promise.verdict} for promise in promises]


def median_interval(values: Sequence[float], seed: int = 1, draws: int = 10_000) -> tuple[float, float, float]:
    """The median and its bootstrap interval of 95 % (percentile method, Efron 1979)."""
    given = np.asarray(values)
    drawn = np.random.default_rng(seed).choice(given, size=(draws, len(given)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(median(values)), float(low), float(high)
