"""When a node is left alone for a while: what it answers is mostly errors, or mostly too late.

The states of a circuit breaker (Nygard, Release It!, 2007). A time without connection, and one of owed answers, are no
business of its own: nothing is sent then anyway.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half_open"]
Outcome = Literal["good", "failed", "slow"]


@dataclass(frozen=True, slots=True)
class BreakerOptions:
    """Judged are the last `window` reads, once there are `fewest`; shares are those at which it opens.

    It stays open for `first_pause_s`, twice as long after each probe that went wrong, up to `longest_pause_s`; after
    `probes` good ones in a row it closes.
    """

    window: int = 20
    fewest: int = 10
    failed_share: float = 0.5
    slow_share: float = 0.5
    first_pause_s: float = 0.25
    longest_pause_s: float = 1.0
    probes: int = 3


class Breaker:
    """Of one node: each read that `allows` let through is told by `ended`, once. `clock` is monotonic, in seconds."""

    def __init__(self, options: BreakerOptions, clock: Callable[[], float]) -> None:
        self._options = options
        self._clock = clock
        self.state: State = "closed"
        self._last: deque[Outcome] = deque(maxlen=options.window)
        self._pause_s = options.first_pause_s
        self._until = 0.0
        self._probing = False
        self._good_probes = 0

    @property
    def due(self) -> bool:
        """It is not closed, and a read that was sent now would be let through, to try."""
        if self.state == "open":
            return self._clock() >= self._until
        return self.state == "half_open" and not self._probing

    def allows(self) -> bool:
        """Whether a read may be sent now; while it is not closed, one at a time."""
        if self.state == "closed":
            return True
        if self.state == "open":
            if self._clock() < self._until:
                return False
            self.state = "half_open"
            self._good_probes = 0
        elif self._probing:
            return False
        self._probing = True
        return True

    def ended(self, outcome: Outcome) -> None:
        """How one read went."""
        if self.state == "closed":
            self._last.append(outcome)
            if outcome != "good" and self._too_many():
                self._open(self._options.first_pause_s)
        elif self.state == "half_open":
            self._probed(outcome)

    def reset(self) -> None:
        """Another connection, perhaps to another server: nothing is held against it."""
        self.state = "closed"
        self._last.clear()
        self._probing = False

    def _too_many(self) -> bool:
        seen = len(self._last)
        return seen >= self._options.fewest and (
            self._last.count("failed") >= self._options.failed_share * seen
            or self._last.count("slow") >= self._options.slow_share * seen
        )

    def _probed(self, outcome: Outcome) -> None:
        self._probing = False
        if outcome != "good":
            self._open(min(self._pause_s * 2, self._options.longest_pause_s))
            return
        self._good_probes += 1
        if self._good_probes >= self._options.probes:
            self.reset()

    def _open(self, pause_s: float) -> None:
        self.state = "open"
        self._pause_s = pause_s
        self._until = self._clock() + pause_s
        self._probing = False
        self._last.clear()
