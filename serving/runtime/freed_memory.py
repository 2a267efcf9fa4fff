"""Gives the memory of a model that was let go back to the system, where it would otherwise wait for the next one."""

from __future__ import annotations

import ctypes
import gc


def collect() -> None:
    """Find what only refers to itself; on the thread that owns the objects, a few milliseconds."""
    gc.collect()


def give_back() -> None:
    """Return free pages, without the GIL meanwhile; glibc keeps them, and has the call (malloc_trim(3))."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
