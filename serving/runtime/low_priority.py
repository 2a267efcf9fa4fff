"""Has a thread yield to whoever answers requests: work that may take its time, on cores that others need at once."""

from __future__ import annotations

import contextlib
import os

# Still a quarter of a core where all are busy: while such a thread has the GIL, its process waits for it.
_NICE = 5


def take(thread: int = 0, *, number: int = -1) -> None:
    """Give the calling thread, or another by its id, a low claim on one core, the last one; there is no way back.

    With a `number`, on another one for each number, as far as there are cores. What it starts from then on inherits
    that, threads and processes. Where the system refuses, all stays as it is.
    """
    # Other systems know none of it, and commands that only ask a gateway run there too.
    with contextlib.suppress(OSError, AttributeError):
        # All of them on the same one: whoever answers requests and finds it taken is moved to another at once, instead
        # of waiting for the next tick.
        cores = sorted(os.sched_getaffinity(thread))
        os.sched_setaffinity(thread, {cores[number % len(cores)]})
        # A batch thread that wakes up takes the core from nobody (sched(7)).
        os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICE, os.getpriority(os.PRIO_PROCESS, thread)))
