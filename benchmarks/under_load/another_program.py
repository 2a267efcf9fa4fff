"""A program that has nothing to do with the server and keeps a core busy now and then."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def another_program(run_s: float, per_second: float, seed: int) -> Iterator[None]:
    """It is busy for `run_s` seconds at a time, and begins so often, at random moments (one at a time)."""
    process = multiprocessing.get_context("spawn").Process(
        target=_keep_busy, args=(run_s, per_second, seed, os.getpid()), daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _keep_busy(run_s: float, per_second: float, seed: int, parent: int) -> None:
    drawn = random.Random(seed)
    due = time.perf_counter()
    while os.getppid() == parent:
        due += drawn.expovariate(per_second)
        time.sleep(max(due - time.perf_counter(), 0.0))
        ends = time.perf_counter() + run_s
        while time.perf_counter() < ends:
            pass
