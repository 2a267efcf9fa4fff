"""Gives the memory of a model that was let go back to the system, where it would otherwise wait for the next one."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable, Iterator

# mallopt(3): numbers of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# Both as glibc has them at the most: buffers of large requests are used again, which is eight times as quick as fresh
# pages for 5 MB.
_FROM_ARENAS = 32 << 20
_KEPT_PER_ARENA = 64 << 20
_KEPT_MEANWHILE = 1 << 20


@contextlib.contextmanager
def kept_little() -> Iterator[None]:
    """While versions come and go, free memory at the end of each of glibc's arenas returns to the system at once.

    `give_back` reaches the end of the main arena alone. By itself glibc keeps up to twice the largest buffer it ever
    freed at the end of each other one, and new threads load new models in new arenas: a replica grew by 34 MB over
    eight loads and unloads of the same 14 MB, and stays within 2 MB now.
    """
    _keep(_KEPT_MEANWHILE)
    try:
        yield
    finally:
        _keep(_KEPT_PER_ARENA)


def collect() -> None:
    """Find what only refers to itself; on the thread that owns the objects, a few milliseconds."""
    gc.collect()


def give_back() -> None:
    """Return free pages, without the GIL meanwhile; glibc keeps them, and has the call (malloc_trim(3))."""
    trim = _of_libc("malloc_trim")
    if trim is not None:
        trim(0)


def _keep(per_arena: int) -> None:
    mallopt = _of_libc("mallopt")
    if mallopt is not None:
        # Setting one ends what glibc does by itself for both.
        mallopt(_MMAP_THRESHOLD, _FROM_ARENAS)
        mallopt(_TRIM_THRESHOLD, per_arena)


def _of_libc(name: str) -> Callable[..., int] | None:
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return found
