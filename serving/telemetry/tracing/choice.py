"""Which requests are traced: what callers ask for, a share of the others, and what was slow or failed, all bounded."""

from __future__ import annotations

from collections.abc import Callable
from math import log, log1p
from typing import Final

# Why a request is traced, as the metric and the span say it.
SAMPLED: Final = "sampled"
SLOW: Final = "slow"
FAILED: Final = "failed"

# Far off, and small enough for a word of the machine.
_NEVER: Final = 1 << 60


class Share:
    """Takes a share of what passes, each independently of the others: it draws how many it lets go until the next one,
    which costs a subtraction for those. `chance` gives numbers from 0 to 1.
    """

    __slots__ = ("_chance", "_left", "_log_rest")

    def __init__(self, share: float, chance: Callable[[], float]) -> None:
        self._chance = chance
        # Of the geometric distribution (Devroye 1986, chapter X.2); 0 where everything is taken, None where nothing is.
        self._log_rest: float | None = None if share <= 0.0 else 0.0 if share >= 1.0 else log1p(-share)
        self._left = self._gap()

    def among(self, count: int) -> list[int]:
        """The places of those that it takes of so many that pass now."""
        places: list[int] = []
        while self._left < count:
            places.append(self._left)
            self._left += 1 + self._gap()
        self._left -= count
        return places

    def takes(self) -> bool:
        """Whether it takes the one that passes now."""
        if self._left:
            self._left -= 1
            return False
        self._left = self._gap()
        return True

    def _gap(self) -> int:
        if self._log_rest is None:
            return _NEVER
        if self._log_rest == 0.0:
            return 0
        return int(log(1.0 - self._chance()) / self._log_rest)


class Bound:
    """At most so many in a second, and as many at once; `now` is in monotonic seconds."""

    __slots__ = ("_left", "_per_s", "_seen_at")

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._left = per_s
        self._seen_at = 0.0

    def takes(self, now: float) -> bool:
        """Whether there is room for one more."""
        self._left = min(self._per_s, self._left + max(now - self._seen_at, 0.0) * self._per_s)
        self._seen_at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
