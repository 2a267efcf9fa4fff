"""A child dies with its parent, also when the parent is killed: Linux sends the signal asked for here."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

# prctl(2); the setting survives execve, so a launcher can make it for a program that is not ours.
_PR_SET_PDEATHSIG = 1


def die_with(parent_pid: int, death_signal: signal.Signals = signal.SIGTERM) -> None:
    """Ask for `death_signal` at the end of `parent_pid`, which started this process.

    Elsewhere than on Linux only the check is made, and the guardian does the rest.

    Raises:
        SystemExit: the parent had gone before the request could be made.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal.value, 0, 0, 0)
    # Between the fork and the line above the parent may have died without a signal to us.
    if os.getppid() != parent_pid:
        raise SystemExit(0)
