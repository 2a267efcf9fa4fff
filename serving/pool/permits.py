"""How many batches run at once in one replica: so many short ones and as many long ones beside them, or one alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue


class Permits:
    """Whoever runs a batch holds one."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._free: SimpleQueue[None] = SimpleQueue()
        self._put(runs)

    def take(self) -> bool:
        """Wait for one; tell whether it was there at once."""
        try:
            self._free.get_nowait()
        except Empty:
            self._free.get()
            return False
        return True

    def give(self) -> None:
        """Give it back."""
        self._free.put(None)

    @contextlib.contextmanager
    def all(self) -> Iterator[None]:
        """Hold every one of them, once nobody else does any more."""
        for _ in range(self._runs):
            self._free.get()
        try:
            yield
        finally:
            self._put(self._runs)

    def _put(self, count: int) -> None:
        for _ in range(count):
            self._free.put(None)


class RunPermits:
    """Those for short runs, and those for long ones, which hold up no short one."""

    def __init__(self, runs: int) -> None:
        self.short = Permits(runs)
        self.long = Permits(runs)
        self._alone = threading.Lock()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """For the holder of a short one: nothing else runs meanwhile."""
        # Two that kept theirs while they waited for all others would wait for each other.
        self.short.give()
        try:
            with self._alone, self.short.all(), self.long.all():
                yield
        finally:
            self.short.take()
