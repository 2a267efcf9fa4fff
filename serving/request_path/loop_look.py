"""Looks for what comes next for a moment before the loop sleeps, where it comes soon: waking up costs a caller more.

A replica looks for its next batch in the same way, see `pool/looking.py`; here the loop goes on with everything else.
"""

from __future__ import annotations

import os
from typing import Final

from serving.backends.backend import Backend
from serving.deadline import Timers

# What is waited for: the next request, the outputs of a batch, the rows of features that a request needs.
_REQUEST: Final = 0
_OUTPUTS: Final = 1
_ROWS: Final = 2

# What came within so many times the moment may well come within it the next time.
_NEAR = 4
# Of more callers there is always somebody whose turn it is, and on few cores looking takes their time.
_FEW_CALLERS = 4


class LoopLook:
    """`moment_s` is how long the loop looks, 0 for never; of the same loop as `timers`.

    While it looks, the loop polls its sockets without sleeping, and yields its core in every turn. Only for what
    replicas run: models in the loop's own process gain nothing that can be measured.
    """

    __slots__ = ("_callers", "_looking", "_near", "_since", "_timers", "_until", "_what", "moment_s")

    def __init__(self, timers: Timers, moment_s: float = 0.0) -> None:
        self._timers = timers
        self.moment_s = moment_s
        # Of the last two batches.
        self._callers = (0, 0)
        self._near = [False, False, False]
        self._what = _REQUEST
        self._since = self._until = 0.0
        self._looking = False

    def sent(self, backend: Backend, callers: int) -> None:
        """A batch of so many callers is away, and its outputs are waited for."""
        self._callers = (self._callers[1], callers)
        self._wait(_OUTPUTS, backend)

    def landed(self, backend: Backend) -> None:
        """A batch is answered, and the next request is waited for."""
        self._wait(_REQUEST, backend)

    def reads(self, backend: Backend) -> None:
        """Rows of features are waited for, by a request that the backend is to run."""
        self._wait(_ROWS, backend)

    def _wait(self, what: int, backend: Backend) -> None:
        most = max(self._callers)
        if most > _FEW_CALLERS or not self.moment_s or not backend.beside():
            self._until = 0.0
            return
        now = self._timers.time()
        # What was waited for has come.
        self._near[self._what] = now - self._since < _NEAR * self.moment_s
        self._what, self._since = what, now
        # Of several callers who are answered at once, the first to ask again would not have the others beside it.
        if self._near[what] and (what != _REQUEST or most == 1):
            self._until = now + self.moment_s
            if not self._looking:
                self._looking = True
                self._timers.call_at(now, self._look)
        else:
            self._until = 0.0

    def _look(self) -> None:
        now = self._timers.time()
        if now < self._until:
            # Whoever else wants this core has it first.
            os.sched_yield()
            self._timers.call_at(now, self._look)
        else:
            self._looking = False
