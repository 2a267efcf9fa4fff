"""How long rows waited for a pool since it was last told: noted by each queue with each batch, told once a second."""

from __future__ import annotations

from weakref import WeakSet

from serving.wire.waits_frame import Waits


class WaitNotes:
    """One queue's; noting costs 0.1 us a batch."""

    __slots__ = ("__weakref__", "_goal_s", "_may_s", "_noted", "_rows", "_wait_s")

    def __init__(self) -> None:
        self._noted = 0
        self._wait_s = self._may_s = self._goal_s = 0.0
        self._rows = 0

    def note(self, wait_s: float, may_s: float, goal_s: float, rows: int) -> None:
        """Rows waited so long of the time they may, under this goal, and so many wait behind them."""
        self._noted += 1
        self._wait_s += wait_s
        self._may_s += may_s
        self._goal_s = goal_s
        self._rows += rows

    def taken(self) -> Waits:
        """The means of what was noted since the last time."""
        noted = self._noted
        if not noted:
            return Waits()
        # A ratio of sums, not a mean of ratios: one pause of the process must not look like a second of waiting.
        told = Waits(self._wait_s / noted, self._may_s / noted, self._goal_s, round(self._rows / noted))
        self._noted = self._rows = 0
        self._wait_s = self._may_s = 0.0
        return told


class PoolWaits:
    """All queues of one pool in this worker, for as long as somebody keeps them."""

    def __init__(self) -> None:
        self._queues: WeakSet[WaitNotes] = WeakSet()

    def queue(self) -> WaitNotes:
        """Where one more queue notes."""
        notes = WaitNotes()
        self._queues.add(notes)
        return notes

    def taken(self) -> Waits:
        """Of the queue that is worst off, with the rows of all."""
        told = [notes.taken() for notes in self._queues]
        worst = max(told, key=lambda waits: waits.pressure, default=Waits())
        return worst._replace(rows=sum(waits.rows for waits in told))
