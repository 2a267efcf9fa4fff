"""Makes the queue of each variant, with its pace and the slots that it shares with others of its pool."""

from __future__ import annotations

from collections.abc import Callable

from serving.backends.backend import Backend
from serving.backends.waiting import WaitNotes
from serving.batching.estimates import Estimates
from serving.batching.fair_share import Shares
from serving.batching.loop_lag import LoopLag
from serving.batching.micro_batcher import MicroBatcher
from serving.batching.pace import Pace
from serving.batching.row_queue import QueueLimits, TotalRows
from serving.batching.surroundings import Refuse, Surroundings
from serving.deadline import Timers
from serving.inference import Hosted
from serving.routing.table import Served


class Queues:
    """All queues of one worker; `refuse` answers a request that will not run, and counts it.

    `total` counts the rows that wait in all of them, and bounds these.
    """

    def __init__(self, timers: Timers, refuse: Refuse, clock: Callable[[], float]) -> None:
        self.estimates = Estimates()
        self.total = TotalRows()
        self._clock = clock
        self._refuse = refuse
        self._timers = timers
        self._lag = LoopLag(timers)
        self._shared: dict[Backend, Shares] = {}

    @property
    def lag_s(self) -> float:
        """What a request loses to turns of the loop."""
        return self._lag.seconds

    @property
    def calm(self) -> bool:
        """Turns of the loop are too short to look at."""
        return self._lag.calm

    def make(self, served: Served, hosted: Hosted, backend: Backend) -> MicroBatcher:
        """The queue of a version as it is served; without slots until `resize` is called."""
        most = min(served.max_rows, hosted.max_rows or served.max_rows) if hosted.batchable else 1
        limits = QueueLimits(
            most,
            served.queue_rows,
            served.queue_mb << 20,
            served.priority_levels,
            served.default_priority,
            served.max_wait_us / 1e6,
        )
        deadline_s = served.deadline_ms / 1000
        # Nobody waits beyond the deadline, whatever the goal allows.
        goal_s = min(served.latency_slo_us / 1e6 or deadline_s, deadline_s)
        pace = Pace(self.estimates.model(served.pool, hosted.key, hosted.run_s), goal_s, most)
        alone = backend.shared_slots() is None
        shares = Shares(alone=True) if alone else self._shares(backend)
        waits = backend.waits() or WaitNotes()
        around = Surroundings(self._clock, self._refuse, shares, self._lag, self._timers, alone, waits, self.total)
        return MicroBatcher(str(hosted.key), limits, pace, around)

    def resize(self, backend: Backend) -> None:
        """What a backend can run at once may have changed."""
        shared = backend.shared_slots()
        if shared is not None:
            self._shares(backend).resize(*shared)

    def _shares(self, backend: Backend) -> Shares:
        return self._shared.setdefault(backend, Shares())
