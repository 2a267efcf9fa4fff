"""How many runs a second several threads bring about together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_FOR_S = 0.05


def runs_a_second(run: Callable[[], object], threads: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Each of them runs until 50 ms are over, and once at least."""
    together = threading.Barrier(threads)
    counts: list[int] = []

    def again_and_again() -> None:
        together.wait()
        ends, done = clock() + _FOR_S, 0
        while not done or clock() < ends:
            run()
            done += 1
        counts.append(done)

    others = [threading.Thread(target=again_and_again) for _ in range(threads - 1)]
    for other in others:
        other.start()
    began = clock()
    again_and_again()
    for other in others:
        other.join()
    return sum(counts) / (clock() - began)
