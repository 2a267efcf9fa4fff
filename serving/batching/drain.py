"""How fast a queue fills, and empties while it is not empty: with everything that comes between two runs."""

from __future__ import annotations

# A batch weighs 5 % less than the next one.
_FORGET = 0.95
# Where nobody waits for another batch, what is remembered fades over such a time. By the batch it would be gone in 20
# of them, which quick models have in 10 ms, and with it what keeps their gateway from letting too many in.
_FADES_IN_S = 2.0
# What came in the last so many seconds says how many more will come.
_COMING_S = 0.25


class Drain:
    """`row_s`: seconds in which one row left a queue in which others waited; 0 where that has not been seen.

    Runs alone do not tell: a gateway that has no core left feeds the fastest model slowly. `came` is counted up by the
    rows that are let in, but for bulk.
    """

    __slots__ = ("_at", "_coming_per_s", "_left", "_rows", "_seconds", "came", "row_s")

    def __init__(self) -> None:
        self._at = 0.0
        self._left = False
        self._rows = self._seconds = self._coming_per_s = 0.0
        self.came = 0
        self.row_s = 0.0

    def coming_per_s(self, now: float) -> float:
        """Rows a second that join the queue lately, also where no batch has left it since."""
        return (self._coming_per_s * _COMING_S + self.came) / (_COMING_S + now - self._at)

    def took(self, rows: int, left: int, now: float) -> None:
        """A batch of `rows` left at `now`, and so many rows wait on."""
        self._coming_per_s = self.coming_per_s(now)
        self.came = 0
        if self._left:
            # They were all waited for since the last batch.
            self._rows = self._rows * _FORGET + rows
            self._seconds = self._seconds * _FORGET + now - self._at
            self.row_s = self._seconds / self._rows
        elif not left and self._rows:
            # A slow moment would else turn so many away that no queue is ever seen to empty faster.
            self._seconds *= max(0.0, 1.0 - (now - self._at) / _FADES_IN_S)
            self.row_s = self._seconds / self._rows
        self._at = now
        self._left = left > 0
