"""Looks for the next batch for a moment before its thread sleeps, where batches come one right after another.

Waking a sleeping thread costs a caller who sends one request after another 50 us of 190 when measured. Many rows share
that, and looking takes the processor from those who are to send the next ones: after them it sleeps at once.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

# A batch that came within so many times the moment may well come within it the next time.
_NEAR = 4
# More rows are of several callers. With 25 rows a batch on two cores, looking cost 12 to 20 % of the requests.
_FEW_ROWS = 8


class Turn:
    """Shared by all connections of a server: one thread looks at a time."""

    __slots__ = ("held", "last")

    def __init__(self) -> None:
        self.held = threading.Lock()
        # Who had the last batch.
        self.last: Looking | None = None


class Looking:
    """One connection's."""

    def __init__(self, moment_s: float, turn: Turn, clock: Callable[[], float]) -> None:
        self._moment_s = moment_s
        self._turn = turn
        self._clock = clock
        # Where batches come far apart, looking for them would only burn the processor.
        self._near = False
        self._worth_it = True

    def answered(self, rows: int) -> None:
        """A batch of so many rows was taken from this connection."""
        # A thread that looks takes the interpreter again at once each time: that of another connection, which has a
        # batch, would wait for it.
        self._worth_it = rows <= _FEW_ROWS and self._turn.last is self
        self._turn.last = self

    def waited(self, seconds: float) -> None:
        """How long the thread slept until something came."""
        self._near = seconds < _NEAR * self._moment_s

    def finds(self, peer: socket.socket) -> bool:
        """Whether bytes came within the moment; false also where the peer has closed, which reading will tell."""
        if not (self._near and self._worth_it) or not self._turn.held.acquire(blocking=False):
            return False
        try:
            until = self._clock() + self._moment_s
            while self._clock() < until:
                try:
                    return bool(peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
                except BlockingIOError:
                    # Whoever else wants this processor has it first.
                    os.sched_yield()
            return False
        finally:
            self._turn.held.release()
