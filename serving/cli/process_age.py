"""How long ago this command was started, as the kernel counts it: what a person waited, Python's own start included."""

from __future__ import annotations

import os
import time
from pathlib import Path

# proc(5): field 22 of /proc/PID/stat, in clock ticks since the machine started; the second field may contain blanks.
_START_AFTER_NAME = 19


def process_age_s() -> float:
    """Seconds, to a hundredth."""
    after_name = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    started_s = int(after_name[_START_AFTER_NAME]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s
