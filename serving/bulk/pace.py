"""How many rows a request has: few at first, more while answers are quick, fewer when the gateway is pressed."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_ROWS = 32
QUICK_S = 0.02
SLOW_S = 0.05
# Answers in a row that must come before rows grow again after a refusal.
_CALM_ANSWERS = 16


@dataclass(slots=True)
class Pace:
    """`most` bounds it from above; from `full` on, a size is a multiple of it, so that the model's batches are full.

    Not for several threads at once.
    """

    most: int
    full: int = 1
    rows: int = FIRST_ROWS
    _calm_in: int = 0

    def __post_init__(self) -> None:
        self._set(self.rows)

    def answered(self, rows: int, took_s: float) -> None:
        """A request of so many rows was answered after that time."""
        self._calm_in = max(0, self._calm_in - 1)
        if took_s > SLOW_S and rows <= self.rows:
            self._set(self.rows // 2)
        elif took_s < QUICK_S and rows >= self.rows and not self._calm_in:
            self._set(self.rows * 2)

    def refused(self, rows: int) -> None:
        """A request of so many rows did not fit, or not in its time."""
        # Those that were sent together tell the same once.
        if rows <= self.rows:
            self._set(rows // 2)
        self._calm_in = _CALM_ANSWERS

    def too_large(self, rows: int) -> None:
        """So many rows never fit."""
        self.most = max(1, min(self.most, rows - 1))
        self._set(self.rows)

    def _set(self, rows: int) -> None:
        rows = max(1, min(self.most, rows))
        self.rows = rows - rows % self.full if rows >= self.full else rows
