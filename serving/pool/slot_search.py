"""How many batches a replica runs at once, where that is found by measuring."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

# More are not tried, however many processors there are: each further one takes from the latency of all.
_MOST = 4
# Each further one has to bring so much of what the first does. A run then lasts at most 1.6 times as long as alone.
_WORTH = 0.5


def most_slots(num_cpus: float) -> int:
    """As many as a replica has processors: what it could take from others does not count."""
    return max(1, min(_MOST, ceil(num_cpus)))


def slots_worth(speed: Callable[[int], float], most: int) -> int:
    """Batches at once, up to `most`, with each of which the speed, in runs a second, grows by half of the first one's.

    `speed` measures with so many at once; more are tried only while that pays.
    """
    alone = before = speed(1)
    for slots in range(2, most + 1):
        now = speed(slots)
        if now <= before or now - before < _WORTH * alone:
            return slots - 1
        before = now
    return most
