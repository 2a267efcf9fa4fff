"""How long one call takes: as many calls as make a measurement worth believing, several times over."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from statistics import median


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds a call; the least is what the code costs, the median what this machine made of it."""

    least_us: float
    median_us: float
    calls: int


def measure(
    action: Callable[[], object],
    *,
    least_s: float = 0.05,
    repeats: int = 7,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Double the calls until they take `least_s`, then repeat that; a call's own overhead of 0.02 us is left in."""
    calls = 1
    while _took_s(action, calls, clock) < least_s:
        calls *= 2
    # As timeit does: the collector would charge one action for the litter of another.
    collecting = gc.isenabled()
    gc.disable()
    try:
        each = [_took_s(action, calls, clock) / calls * 1e6 for _ in range(repeats)]
    finally:
        if collecting:
            gc.enable()
    return Timing(min(each), median(each), calls)


def _took_s(action: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    started = clock()
    for _ in repeat(None, calls):
        action()
    return clock() - started
