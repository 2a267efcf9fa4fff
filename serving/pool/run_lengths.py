"""Which batches will run long: a model of a millisecond must not wait behind one of thirty."""

from __future__ import annotations

from serving.inference import Hosted, VersionKey
from serving.pool.inbox import Waiting

# A run counts a quarter, and as no more than three times what was expected: one that the operating system interrupted
# must not send those after it another way.
_NEWEST = 0.25
_OUTLIER = 3.0


class RunLengths:
    """Tells by what was measured whether a batch will run for more than `long_s`; what was never measured will not.

    Sizes are told apart by powers of two.
    """

    def __init__(self, long_s: float) -> None:
        self._long_s = long_s
        # Nothing is forgotten with a version that is let go: there are never many, and it may come back.
        self._mean_s: dict[tuple[VersionKey, int], float] = {}

    def long(self, hosted: Hosted, waiting: Waiting) -> bool:
        """Whether it is expected to."""
        return self._mean_s.get((hosted.key, _size(waiting)), 0.0) > self._long_s

    def saw(self, hosted: Hosted, waiting: Waiting, run_s: float) -> None:
        """It took so long."""
        where = hosted.key, _size(waiting)
        mean_s = self._mean_s.get(where)
        if mean_s is None:
            self._mean_s[where] = run_s
        else:
            self._mean_s[where] = mean_s + _NEWEST * (min(run_s, _OUTLIER * mean_s) - mean_s)


def _size(waiting: Waiting) -> int:
    """What a run's time grows with, near enough: rows, or bytes where the request runs whole."""
    return (waiting.run.rows or waiting.frame.stop - waiting.frame.start).bit_length()
