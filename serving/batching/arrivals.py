"""How far apart requests come, and whether it pays to wait for the next one."""

from __future__ import annotations

from serving.batching.latency_model import Estimate
from serving.batching.window import wait_s

# The gap of the last request counts a tenth, so that a burst is noticed within ten of them.
_NEWEST = 0.1


class Arrivals:
    """The mean gap between the requests of one queue; counts nothing where nobody may be made to wait."""

    __slots__ = ("_gap_s", "_last_at", "longest_wait_s")

    def __init__(self, longest_wait_s: float) -> None:
        self.longest_wait_s = longest_wait_s
        self._gap_s = float("inf")
        self._last_at = float("-inf")

    def saw(self, now: float) -> None:
        """A request came."""
        gap_s = now - self._last_at
        self._last_at = now
        # After a pause a single short gap counts in full: nothing is known of the pace after it.
        self._gap_s = gap_s if self._gap_s == float("inf") else self._gap_s + _NEWEST * (gap_s - self._gap_s)

    def wait_s(self, estimate: Estimate, rows: int, slack_s: float) -> float:
        """Seconds for which rows that could run now had better wait for one more; see `window.wait_s`."""
        return wait_s(estimate, rows, self._gap_s, slack_s, self.longest_wait_s)
