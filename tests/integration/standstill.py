"""Processes that are stopped in the middle of what they do, as one that hangs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def stop(pid: int) -> None:
    """SIGSTOP, and wait until every thread has obeyed: one passes it on, and the others run until it gets a turn."""
    os.kill(pid, signal.SIGSTOP)
    ends = time.monotonic() + 10
    while any(_state(task) not in ("T", "Z", "") for task in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < ends, f"process {pid} does not stop"
        time.sleep(0.001)


def _state(task: Path) -> str:
    """Letter of the thread's state as `proc(5)` has them; empty where it has ended."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
