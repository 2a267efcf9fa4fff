"""Whether a row costs more in large batches than in small ones, which a line without negative parts cannot say.

Where texts are padded to the longest, or a batch no longer fits into a cache, larger batches do less in a second; and a
queue that has once become long would have ever larger ones.
"""

from __future__ import annotations

from collections import deque

_KEPT_RUNS = 8
_ENOUGH_RUNS = 5
_DEARER = 1.25
# What a batch costs beside its run, on its way through gateway and replica.
_BATCH_S = 1e-4
# A size that was dear is tried again after so many times what a run of it takes: at a hundredth of the time.
_TRIED_AGAIN_AFTER = 100.0
# So many batches one after another that are larger than any should be are requests that come as large as that.
_WHOLE_RUNS = 16
_ANY = 1 << 30


class RowCosts:
    """What rows took in batches of 1 row, 2 to 3, 4 to 7 and so on; `most_rows` are those of which none was dear.

    A row alone is thought to take `alone_s` until some have run. What smaller batches took is forgotten where none of
    them comes any more: requests are never cut for it.
    """

    __slots__ = ("_costs", "_larger_runs", "_row_s", "_seen_at_s", "_spent_s", "most_rows")

    def __init__(self, alone_s: float) -> None:
        self._costs: list[deque[float]] = [deque(maxlen=_KEPT_RUNS)]
        # The median; 0 where too little was seen: one run of any length says nothing.
        self._row_s = [alone_s + _BATCH_S]
        # In seconds that all runs took together.
        self._seen_at_s = [0.0]
        self._spent_s = 0.0
        self._larger_runs = 0
        self.most_rows = _ANY

    def saw(self, rows: int, run_s: float) -> None:
        """A batch of `rows` (at least 1) ran for so long."""
        size = rows.bit_length() - 1
        self._larger_runs = self._larger_runs + 1 if rows > self.most_rows else 0
        if self._larger_runs >= _WHOLE_RUNS:
            self._forget_smaller()
        while len(self._costs) <= size:
            self._costs.append(deque(maxlen=_KEPT_RUNS))
            self._row_s.append(0.0)
            self._seen_at_s.append(0.0)
        costs = self._costs[size]
        costs.append((run_s + _BATCH_S) / rows)
        if len(costs) >= _ENOUGH_RUNS:
            self._row_s[size] = sorted(costs)[len(costs) // 2]
        self._spent_s += run_s
        self._seen_at_s[size] = self._spent_s
        self.most_rows = self._most_rows()

    def _forget_smaller(self) -> None:
        self._larger_runs = 0
        for size in range((self.most_rows + 1).bit_length() - 1):
            self._costs[size].clear()
            self._row_s[size] = 0.0

    def _most_rows(self) -> int:
        least_s = float("inf")
        for size, row_s in enumerate(self._row_s):
            if not row_s:
                continue
            if row_s > _DEARER * least_s:
                rows = 1 << size
                if self._spent_s - self._seen_at_s[size] < _TRIED_AGAIN_AFTER * row_s * rows:
                    return rows - 1
            least_s = min(least_s, row_s)
        return _ANY
