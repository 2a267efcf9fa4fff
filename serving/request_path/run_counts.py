"""Runs of one arm of a trial, counted by how many rows they had and how slow they were."""

from __future__ import annotations

from serving.routing.table import RUN_SIZES

# Of each: as evidence of the rollout, for the proof of the step, and all that there were.
ByRow = tuple[int, int, int]


class RunCounts:
    """Between two flushes, of a trial with so many bounds; `by_key` where a run stands for a key.

    Each class of size has a list of runs by how many bounds they passed.
    """

    def __init__(self, bounds: int, *, by_key: bool) -> None:
        self._by_key = by_key
        self._every = [[0] * (bounds + 1) for _ in range(RUN_SIZES)]
        self._leading = [[0] * (bounds + 1) for _ in range(RUN_SIZES)]
        self._sampled = [0] * RUN_SIZES

    def ran(self, size: int, place: int) -> None:
        """One more."""
        self._every[size][place] += 1

    def led(self, size: int, place: int) -> None:
        """That one is evidence."""
        self._leading[size][place] += 1

    def sampled(self, size: int) -> None:
        """Its key is one of the sample."""
        self._sampled[size] += 1

    def by_event(self) -> dict[str, ByRow]:
        """All runs of a size as `ran.2`, those over a bound as `slow.3.2`.

        Releases that counted answers called theirs `latency.3`; what is named otherwise they leave out.
        """
        found: dict[str, ByRow] = {}
        for size in range(RUN_SIZES):
            over, leading = self._every[size], self._leading[size]
            every, lead = sum(over), sum(leading)
            if not every:
                continue
            found[f"ran.{size}"] = (lead, self._sampled[size] if self._by_key else every, every)
            for place in range(len(over) - 1):
                every, lead = every - over[place], lead - leading[place]
                if every:
                    # Of keys that count once those that are slow for the first time are told by name.
                    found[f"slow.{place}.{size}"] = (0, 0, every) if self._by_key else (lead, every, every)
        return found


def size_of(rows: int) -> int:
    """The class of a run of so many rows."""
    return min(rows.bit_length(), RUN_SIZES) - 1
