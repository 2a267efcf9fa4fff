"""Has a thread yield to whoever answers requests: work that may take its time, on cores that others need at once."""

from __future__ import annotations

import contextlib
import os

# Still a quarter of a core where all are busy: while such a thread has the GIL, its process waits for it.
_NICE = 5


def take(thread: int = 0) -> None:
    """Give the calling thread, or another by its id, a low claim on one core; there is no way back.

    What it starts from then on inherits that, threads and processes. Where the system refuses, all stays as it is.
    """
    with contextlib.suppress(OSError):
        # All of them on the same one: whoever answers requests and finds it taken is moved to another at once, instead
        # of waiting for the next tick.
        os.sched_setaffinity(thread, {max(os.sched_getaffinity(thread))})
        # A batch thread that wakes up takes the core from nobody (sched(7)).
        os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICE, os.getpriority(os.PRIO_PROCESS, thread)))
