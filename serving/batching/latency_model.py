"""How long a batch of a version runs: `fixed + row * rows`, learned from every run, with what the slow ones take more.

A weighted least-squares line that forgets (each run weighs 2 % less than the next one), since the machine of a replica
gets busier and idler. Three things keep a single odd run, such as a pause of the garbage collector or a processor taken
away, from bending it: a run counts as at most 1.2 times the slowest that was expected, batches of many rows weigh less
than those of few, and how much slower the slow runs are is learned apart, as the 99th percentile of measured over
expected.
"""

from __future__ import annotations

from typing import NamedTuple

from serving.percentile import followed

_FORGET = 0.98
# Runs after which what was believed at the start no longer bounds what counts.
_TRUSTED_RUNS = 8
# Pairs of runs that what was learned before counts for.
_REMEMBERED = 16
_OUTLIER = 1.2
# Of the first runs, the second in a row that takes less than this share of what is expected says that those before it
# were none to learn from: so much is left of them. A first run of 5 s was else felt in the next 200.
_YOUNG_RUNS = 64
_FAR_LESS = 0.25
_KEPT_SHARE = 0.02
# Rows from which on the scatter of a run is taken to grow with them.
_SCATTER_ROWS = 8
_STEP = 0.05
_SLOW_SHARE = 0.01
_FIRST_MARGIN = 1.5
_LARGEST_MARGIN = 50.0
# Below this variance of rows, in squared rows, runs of one size say nothing about others.
_ONE_SIZE = 1e-3
# Where only one size is seen, what is held of a row's part fades, so that a larger batch is tried at last; but not
# below this share of what a row would take if all were a matter of rows.
_FADING = 0.99
_LEAST_ROW_SHARE = 1 / 16
# A batch of so many times the rows that are usual says something new, however long it took.
_UNUSUAL_ROWS = 4.0


class Estimate(NamedTuple):
    """Seconds of a run: `fixed_s` for any, `row_s` for each row, and `margin` times as long for 1 run in 100."""

    fixed_s: float
    row_s: float
    margin: float = _FIRST_MARGIN

    def run_s(self, rows: float) -> float:
        """How long a batch of so many rows runs on average."""
        return self.fixed_s + self.row_s * rows

    def late_s(self, rows: float) -> float:
        """How long 99 of 100 batches of so many rows take at most."""
        return self.margin * (self.fixed_s + self.row_s * rows)

    def most_rows(self, within_s: float) -> float:
        """Rows of which 99 of 100 batches end within this time: less than 1 where not even one row does."""
        left_s = within_s / self.margin - self.fixed_s
        if left_s <= 0.0:
            return 0.0
        return left_s / self.row_s if self.row_s > 0.0 else float("inf")


class LatencyModel:
    """What is known of one version on one backend; `estimate` is replaced whole with each run.

    It begins with what is `believed`, which a few runs correct; what was `learned` before, from many runs, is held as
    if they had been seen here, so that the slow first run of a process does not undo it.
    """

    __slots__ = (
        "_far_less",
        "_product",
        "_rows",
        "_rows_squared",
        "_seconds",
        "_trusted_from",
        "_weight",
        "estimate",
        "runs",
    )

    def __init__(self, believed: Estimate, *, learned: bool = False) -> None:
        self.estimate = believed
        self.runs = 0
        self._weight = self._rows = self._rows_squared = self._seconds = self._product = 0.0
        self._far_less = False
        self._trusted_from = 0 if learned else _TRUSTED_RUNS
        # As if a run of one row and one of eight had been seen: a first run then corrects, and does not decide.
        for rows in (1, 8) * (_REMEMBERED if learned else 1):
            self._count(rows, believed.run_s(rows))

    def saw(self, rows: int, run_s: float) -> None:
        """A batch of `rows` (at least 1) ran for so long."""
        fixed_s, row_s, margin = self.estimate
        expected_s = fixed_s + row_s * rows
        margin = followed(margin, run_s / expected_s, _SLOW_SHARE, _STEP) if expected_s > 0.0 else margin
        margin = min(max(margin, 1.0), _LARGEST_MARGIN)
        if self.runs >= self._trusted_from and rows * self._weight <= _UNUSUAL_ROWS * self._rows:
            run_s = min(run_s, _OUTLIER * margin * expected_s)
        far_less = run_s < _FAR_LESS * expected_s
        if far_less and self._far_less and self.runs < _YOUNG_RUNS:
            self._forget_most()
        self._far_less = far_less
        self.runs += 1
        self._count(rows, run_s)
        fixed_s, row_s = self._line()
        self.estimate = Estimate(fixed_s, row_s, margin)

    def _count(self, rows: int, run_s: float) -> None:
        # The scatter of a run grows with its rows, so what one row says of the fixed part is not drowned by large runs.
        weight = 1.0 / (rows + _SCATTER_ROWS)
        weighted = weight * rows
        self._weight = self._weight * _FORGET + weight
        self._rows = self._rows * _FORGET + weighted
        self._rows_squared = self._rows_squared * _FORGET + weighted * rows
        self._seconds = self._seconds * _FORGET + weight * run_s
        self._product = self._product * _FORGET + weighted * run_s

    def _forget_most(self) -> None:
        self._weight *= _KEPT_SHARE
        self._rows *= _KEPT_SHARE
        self._rows_squared *= _KEPT_SHARE
        self._seconds *= _KEPT_SHARE
        self._product *= _KEPT_SHARE

    def _line(self) -> tuple[float, float]:
        """The line through what is remembered, neither part of it negative."""
        weight = self._weight
        mean_rows, mean_s = self._rows / weight, self._seconds / weight
        spread = self._rows_squared / weight - mean_rows * mean_rows
        if spread > _ONE_SIZE:
            row_s = max((self._product / weight - mean_rows * mean_s) / spread, 0.0)
        else:
            whole = mean_s / mean_rows
            row_s = min(max(self.estimate.row_s * _FADING, whole * _LEAST_ROW_SHARE), whole)
        fixed_s = mean_s - row_s * mean_rows
        if fixed_s < 0.0:
            # Through the origin: all of it is a matter of rows.
            return 0.0, self._product / self._rows_squared
        return fixed_s, row_s
