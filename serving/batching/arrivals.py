"""How far apart requests come, and whether it pays to wait for the next one."""

from __future__ import annotations

from serving.batching.latency_model import Estimate
from serving.batching.window import wait_s

# The gap of the last request counts a tenth, and a pause as no more than so many of the longest waits, so that a burst
# is noticed within some dozen of them.
_NEWEST = 0.1
_PAUSE_WAITS = 4.0


class Arrivals:
    """The mean gap between the requests of one queue; counts nothing where nobody may be made to wait."""

    __slots__ = ("_gap_s", "_last_at", "longest_wait_s")

    def __init__(self, longest_wait_s: float) -> None:
        self.longest_wait_s = longest_wait_s
        self._gap_s = float("inf")
        self._last_at: float | None = None

    def saw(self, now: float) -> None:
        """A request came."""
        if self._last_at is not None:
            gap_s = min(now - self._last_at, _PAUSE_WAITS * self.longest_wait_s)
            # The first one counts in full: nothing was known before.
            self._gap_s = gap_s if self._gap_s == float("inf") else self._gap_s + _NEWEST * (gap_s - self._gap_s)
        self._last_at = now

    def wait_s(self, estimate: Estimate, rows: int, slack_s: float) -> float:
        """Seconds for which rows that could run now had better wait for one more; see `window.wait_s`."""
        return wait_s(estimate, rows, self._gap_s, slack_s, self.longest_wait_s)
