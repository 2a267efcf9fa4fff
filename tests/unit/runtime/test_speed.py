"""Runs a second of several threads: all of them at once, and each one at least."""

from __future__ import annotations

import itertools
import threading

from serving.runtime.speed import runs_a_second


def test_every_thread_runs_beside_the_others() -> None:
    together = threading.Barrier(3)
    ticks = itertools.count()

    def run() -> None:
        together.wait(20.0)

    # Each reading of the clock is a second later: all end with their first run.
    assert runs_a_second(run, 3, lambda: float(next(ticks))) > 0.0


def test_a_run_longer_than_the_measurement_is_counted() -> None:
    times = iter([0.0, 0.0, 5.0, 5.0])
    assert runs_a_second(lambda: None, 1, lambda: next(times)) == 1 / 5.0
