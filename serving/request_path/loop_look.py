"""Looks for what comes next for a moment before the loop sleeps, where it comes soon: waking up costs a caller more.

A replica looks for its next batch in the same way, see `pool/looking.py`; here the loop goes on with everything else.
"""

from __future__ import annotations

import os

from serving.backends.backend import Backend
from serving.deadline import Timers

# What came within so many times the moment may well come within it the next time.
_NEAR = 4
# Of more callers there is always somebody whose turn it is, and on few cores looking takes their time.
_FEW_CALLERS = 4
# Who yields for longer has a core that others need, perhaps the very replica that is waited for: so often nobody looks.
_LOST_S = 0.00005
_REST = 64


class LoopLook:
    """`moment_s` is how long the loop looks, 0 for never; of the same loop as `timers`.

    While it looks, the loop polls its sockets without sleeping, and yields its core in every turn. Only for what
    replicas run: models in the loop's own process gain nothing that can be measured.
    """

    __slots__ = (
        "_away",
        "_callers",
        "_landed_at",
        "_looking",
        "_outputs_near",
        "_request_near",
        "_rest",
        "_rows_near",
        "_timers",
        "_until",
        "moment_s",
    )

    def __init__(self, timers: Timers, moment_s: float = 0.0) -> None:
        self._timers = timers
        self.moment_s = moment_s
        # Whose batches are away; and those of the last two batches.
        self._away = 0
        self._callers = (0, 0)
        self._outputs_near = self._request_near = self._rows_near = False
        self._landed_at = self._until = 0.0
        self._rest = 0
        self._looking = False

    def sent(self, backend: Backend, callers: int) -> None:
        """A batch of so many callers leaves; its outputs are waited for until `landed`, which always follows."""
        if not backend.beside():
            return
        self._away += callers
        self._callers = (self._callers[1], callers)
        if self._may_look():
            now = self._timers.time()
            self._request_near = self._is_near(now - self._landed_at)
            self._look_if(now, near=self._outputs_near)

    def landed(self, backend: Backend, callers: int, took_s: float) -> None:
        """The batch is over after so many seconds; where no other one is away, the next request is waited for."""
        if not backend.beside():
            return
        self._away -= callers
        self._outputs_near = self._is_near(took_s)
        if not self._away and self._may_look():
            now = self._landed_at = self._timers.time()
            # Of several callers who are answered at once, the first to ask again would not have the others beside it.
            self._look_if(now, near=self._request_near and max(self._callers) == 1)

    def reads(self, backend: Backend) -> None:
        """Rows of features are waited for, by a request that the backend is to run."""
        if self._rows_near and backend.beside() and self._may_look():
            self._look_if(self._timers.time(), near=True)

    def read(self, took_s: float) -> None:
        """Rows came after so many seconds."""
        self._rows_near = self._is_near(took_s)

    def _is_near(self, seconds: float) -> bool:
        return seconds < _NEAR * self.moment_s

    def _may_look(self) -> bool:
        if self.moment_s and max(self._away, *self._callers) <= _FEW_CALLERS:
            return True
        self._until = 0.0
        return False

    def _look_if(self, now: float, *, near: bool) -> None:
        if near and self._rest:
            self._rest -= 1
            near = False
        self._until = now + self.moment_s if near else 0.0
        if near and not self._looking:
            self._looking = True
            self._timers.call_at(now, self._look)

    def _look(self) -> None:
        now = self._timers.time()
        if now < self._until:
            os.sched_yield()
            if self._timers.time() - now < _LOST_S:
                self._timers.call_at(now, self._look)
                return
            self._rest = _REST
            self._until = 0.0
        self._looking = False
