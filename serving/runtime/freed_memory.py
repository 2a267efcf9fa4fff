"""Gives the memory of a model that was let go back to the system, where it would otherwise wait for the next one."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable, Iterator

# mallopt(3): numbers of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# Bounds as glibc begins with them: what is larger is mapped apart, and goes back when it is freed.
_WHILE_CHANGING = {_MMAP_THRESHOLD: 128 << 10, _TRIM_THRESHOLD: 128 << 10}
# As it raises them at the most: buffers of large requests are used again, which is eight times as quick as fresh pages
# for 5 MB.
_WHILE_SERVING = {_MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20}


@contextlib.contextmanager
def kept_little() -> Iterator[None]:
    """While versions come and go: what a model takes is mapped apart, and leaves no hole in an arena of glibc's.

    With each large buffer that is freed glibc takes larger ones from its arenas, up to 32 MB, and keeps twice as much
    at the end of each, where `give_back` does not reach. New threads load new models in new arenas: a replica grew by
    34 MB over eight loads and unloads of the same 14 MB.
    """
    _bound(_WHILE_CHANGING)
    try:
        yield
    finally:
        _bound(_WHILE_SERVING)


def collect() -> None:
    """Find what only refers to itself; on the thread that owns the objects, a few milliseconds."""
    gc.collect()


def give_back() -> None:
    """Return free pages, without the GIL meanwhile; glibc keeps them, and has the call (malloc_trim(3))."""
    trim = _of_libc("malloc_trim")
    if trim is not None:
        trim(0)


def _bound(by: dict[int, int]) -> None:
    mallopt = _of_libc("mallopt")
    if mallopt is not None:
        # Setting one ends what glibc does by itself for both.
        for parameter, size in by.items():
            mallopt(parameter, size)


def _of_libc(name: str) -> Callable[..., int] | None:
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return found
