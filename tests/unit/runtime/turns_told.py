"""What the kernel says of a thread's policy, niceness and turns."""

from __future__ import annotations

import ctypes
import platform
import struct

_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
# The first Linux that knows turns of different lengths; before, it tells none.
_KNOWN_SINCE = (6, 12)
SHORT_NS = 100_000


def told(thread: int = 0) -> tuple[int, int, int]:
    """Policy, niceness and nanoseconds of a turn, of the calling thread or another by its id."""
    asked = ctypes.create_string_buffer(_ATTRIBUTES.size)
    number = _SCHED_GETATTR[platform.machine()]
    assert ctypes.CDLL(None).syscall(number, thread, asked, _ATTRIBUTES.size, 0) == 0
    _, policy, _, nice, _, turn_ns, *_ = _ATTRIBUTES.unpack(asked.raw)
    return policy, nice, turn_ns


def short_ns(otherwise: int) -> int:
    """Nanoseconds of a short turn on this kernel; those that it tells otherwise where it knows none."""
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    return SHORT_NS if release >= _KNOWN_SINCE else otherwise
