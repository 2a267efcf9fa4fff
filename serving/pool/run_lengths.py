"""Which batches will run long: a model of a millisecond must not wait behind one of thirty."""

from __future__ import annotations

from serving.inference import Hosted, VersionKey
from serving.pool.inbox import Waiting

# What half of the runs exceed, followed in steps of a tenth: runs that the operating system interrupts for tens of
# milliseconds must not send those after them behind the long ones. Of a mean, as little as a tenth of such runs did.
_STEP = 1.1


class RunLengths:
    """Tells by what was measured whether a batch will run for more than `long_s`; what was never measured will not.

    Sizes are told apart by powers of two.
    """

    def __init__(self, long_s: float) -> None:
        self._long_s = long_s
        # Nothing is forgotten with a version that is let go: there are never many, and it may come back.
        self._typical_s: dict[tuple[VersionKey, int], float] = {}

    def long(self, hosted: Hosted, waiting: Waiting) -> bool:
        """Whether it is expected to."""
        return self._typical_s.get((hosted.key, _size(waiting)), 0.0) > self._long_s

    def saw(self, hosted: Hosted, waiting: Waiting, run_s: float) -> None:
        """It took so long."""
        where = hosted.key, _size(waiting)
        typical_s = self._typical_s.get(where)
        if typical_s is None:
            self._typical_s[where] = run_s
        else:
            self._typical_s[where] = typical_s * _STEP if run_s > typical_s else typical_s / _STEP


def _size(waiting: Waiting) -> int:
    """What a run's time grows with, near enough: rows, or bytes where the request runs whole."""
    return (waiting.run.rows or waiting.frame.stop - waiting.frame.start).bit_length()
