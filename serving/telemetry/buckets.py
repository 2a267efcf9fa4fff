"""Fixed bounds of the histograms, and how durations and row counts fall into them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

# 1-2-5 steps from 10 us to 10 s: a stage of the gateway takes tens of microseconds, a slow model seconds, and targets
# such as 20 ms are bounds themselves, so that the share within a target can be read without interpolation.
SECONDS = (
    *(1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4),
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0),
)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
# Around nothing: at or below 0 the goal of a batch's first row had passed when the batch was taken.
SLACK_SECONDS = (
    *(-1.0, -0.1, -0.01, -0.001, 0.0),
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0),
)


class Histogram:
    """`counts` has one entry per bound, for values up to and including it, and one more for those above the last."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, values: Sequence[float]) -> float:
        """Count many at once, and give their sum.

        The values of a batch mostly share a bucket or two, which one sort finds out.
        """
        total = sum(values)
        self.total += total
        if len(values) <= _FEW:
            for value in values:
                self.counts[bisect_left(self.bounds, value)] += 1
            return total
        ordered = sorted(values)
        counted = 0
        for bucket in range(bisect_left(self.bounds, ordered[0]), bisect_left(self.bounds, ordered[-1])):
            upto = bisect_right(ordered, self.bounds[bucket], counted)
            self.counts[bucket] += upto - counted
            counted = upto
        self.counts[bisect_left(self.bounds, ordered[-1])] += len(ordered) - counted
        return total


# Up to here a search per value was measured quicker than the sort.
_FEW = 6
