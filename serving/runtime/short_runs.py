"""Whether a batch is short enough to run on the event loop itself."""

from __future__ import annotations

# No callback may hold the loop over 10 ms. Sizes are told apart by powers of two, so a run may be of twice the size
# that was measured: 4 ms where time grows with size, 8 ms where it grows with its square (attention). The rest of the
# callback (stacking, encoding) has what is left.
LONGEST_INLINE_S = 0.002

_FIRST_HOLD = 32
_LONGEST_HOLD = 65_536


class ShortRuns:
    """Remembers how long runs of each size took; a size that was never measured is not short.

    After a long run the next 32 of its size go to a thread. Only if one of those is long too, they become twice as many
    at the next long run: a model whose time depends on its values holds the loop less and less often, while a run that
    the operating system interrupted, as it does a few in a thousand on a busy machine, costs little.
    """

    __slots__ = ("_confirmed", "_hold", "_left", "_longest_s")

    def __init__(self, longest_s: float = LONGEST_INLINE_S) -> None:
        self._longest_s = longest_s
        self._left: dict[int, int] = {}
        self._hold: dict[int, int] = {}
        self._confirmed: set[int] = set()

    def allow(self, size: int) -> bool:
        """`size` counts whatever a run's time grows with: rows, or bytes."""
        return self._left.get(size.bit_length(), 1) == 0

    def saw(self, size: int, run_s: float) -> None:
        """A run of this size took so long: on the loop in wall time, in a thread in processor time."""
        kind = size.bit_length()
        left = self._left.get(kind)
        long = run_s > self._longest_s
        if left:
            self._left[kind] = left - 1
            if long:
                self._confirmed.add(kind)
        elif long:
            self._left[kind] = self._hold[kind] = self._next_hold(kind)
            self._confirmed.discard(kind)
        elif left is None:
            self._left[kind] = 0

    def _next_hold(self, kind: int) -> int:
        if kind not in self._confirmed:
            return _FIRST_HOLD
        return min(2 * self._hold.get(kind, _FIRST_HOLD), _LONGEST_HOLD)
