"""Whose batch runs next where several versions share the same replicas: by estimated seconds, not by requests.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): each version has a clock of its own that advances by the
estimated seconds of each batch that it is given, and the one whose clock is furthest behind is next. A version that was
idle begins at the time of whoever was served last, so that nobody saves up turns.
"""

from __future__ import annotations

from typing import Protocol

# From here on a run is long: what waits behind it would notice.
LONG_RUN_S = 0.002
_NOTHING_S = 1e-9


class Entrant(Protocol):
    """A queue that shares slots with others."""

    virtual_s: float

    @property
    def idle(self) -> bool:
        """Nothing of it waits and nothing runs."""

    @property
    def bulk(self) -> bool:
        """All that it has waiting may wait for everybody else's."""

    def waiting_s(self) -> float:
        """Estimated seconds of what it has waiting."""

    def begin(self, share: FairShare, *, bulk: bool) -> bool:
        """Its turn has come, and a slot is counted for it; false where nothing of it can begin any more."""


class FairShare:
    """Slots for the batches of several queues, which take turns only where there are more of them than slots.

    `slots` batches may be under way, of which `servers` run at the same time. Queues of work that may wait get what the
    others leave. The methods of the usual case, a free slot and nobody else, cost less than a microsecond.
    """

    __slots__ = ("_bulk", "_moved_at", "_running", "_virtual_s", "_waiting", "_work_s", "servers", "slots")

    def __init__(self) -> None:
        self.slots = 0
        self.servers = 1
        self._running = 0
        self._bulk = 0
        self._waiting: dict[Entrant, None] = {}
        self._virtual_s = 0.0
        # Estimated seconds of all that is under way, counted down from when the oldest began to run.
        self._work_s = 0.0
        self._moved_at = 0.0

    @property
    def idle(self) -> bool:
        """Nothing is under way."""
        return not self._running

    @property
    def contended(self) -> bool:
        """Somebody waits for a turn."""
        return bool(self._waiting)

    def others_wait(self, queue: Entrant) -> bool:
        """Somebody else does."""
        waiting = self._waiting
        return bool(waiting) and (len(waiting) > 1 or queue not in waiting)

    def running_s(self, now: float) -> float:
        """Estimated seconds until a server is free of all that is under way."""
        if not self._running:
            return 0.0
        return max(self._work_s / self.servers - (now - self._moved_at), 0.0)

    def others_s(self, queue: Entrant) -> float:
        """Estimated seconds of what other queues have waiting that will not make way for this one's."""
        return sum([each.waiting_s() for each in self._waiting if each is not queue and not each.bulk])

    def enters(self, queue: Entrant, *, bulk: bool) -> bool:
        """Whether the queue may begin a batch at once; else it waits for its turn, in which `begin` is called."""
        if self._running < self.slots and not self._waiting and not bulk:
            self._running += 1
            if queue.virtual_s < self._virtual_s:
                queue.virtual_s = self._virtual_s
            else:
                self._virtual_s = queue.virtual_s
            return True
        return self._enters_among_others(queue)

    def charge(self, queue: Entrant, seconds: float, now: float) -> None:
        """The batch that it begins is estimated to take so long."""
        if self._work_s <= 0.0:
            self._moved_at = now
        self._work_s += seconds
        # Time goes on with whoever keeps its slot, too: or it would wait, once others come, for as long as it had it.
        self._virtual_s = max(self._virtual_s, queue.virtual_s)
        queue.virtual_s += seconds

    def settle(self, queue: Entrant, estimated_s: float, took_s: float, now: float) -> None:
        """A batch that was charged so much is answered after so long, waits of its own on the way included."""
        if took_s < estimated_s:
            # It had no more of a server than that: or one estimate far too high would keep its version from its turn,
            # and so from the runs that prove it wrong.
            queue.virtual_s -= estimated_s - took_s
        left_s = self._work_s - estimated_s
        # Sums and differences of the same numbers need not come out at nothing.
        self._work_s = left_s if left_s > _NOTHING_S else 0.0
        self._moved_at = now

    def leaves(self, *, bulk: bool) -> None:
        """A slot is free again; the next one is called."""
        self._running -= 1
        self._bulk -= bulk
        if self._waiting:
            self._hand_on()

    def forget(self, queue: Entrant) -> None:
        """It waits for no turn any more."""
        self._waiting.pop(queue, None)

    def resize(self, slots: int, servers: int) -> None:
        """Replicas came or went."""
        self.slots = slots
        self.servers = max(1, servers)
        self._hand_on()

    def _enters_among_others(self, queue: Entrant) -> bool:
        self._waiting[queue] = None
        if self._running >= self.slots or self._next() is not queue:
            return False
        del self._waiting[queue]
        self._admit(queue)
        return True

    def _hand_on(self) -> None:
        """Give free slots to those who wait."""
        while self._waiting and self._running < self.slots:
            queue = self._next()
            if queue is None:
                return
            del self._waiting[queue]
            bulk = self._admit(queue)
            if not queue.begin(self, bulk=bulk):
                self._running -= 1
                self._bulk -= bulk

    def _next(self) -> Entrant | None:
        urgent = [queue for queue in self._waiting if not queue.bulk]
        allowed = urgent or [queue for queue in self._waiting if self._allows(queue)]
        return min(allowed, key=self._start_s, default=None)

    def _start_s(self, queue: Entrant) -> float:
        return max(queue.virtual_s, self._virtual_s)

    def _allows(self, queue: Entrant) -> bool:
        # What may wait leaves a slot to what may not, where there is more than one.
        return not queue.bulk or self._bulk < max(1, self.slots - self.servers)

    def _admit(self, queue: Entrant) -> bool:
        bulk = queue.bulk
        self._running += 1
        self._bulk += bulk
        self._virtual_s = queue.virtual_s = self._start_s(queue)
        return bulk


class Shares:
    """The slots of a pool, those for batches that run long apart: behind one of 30 ms no short one waits.

    A replica runs both kinds side by side. `alone` for the slots of one version, which are of one kind.
    """

    __slots__ = ("long", "short")

    def __init__(self, *, alone: bool = False) -> None:
        self.short = FairShare()
        self.long = self.short if alone else FairShare()

    def of(self, *, long: bool) -> FairShare:
        """Where the batches of a version belong, all of them, also those that happen to be small."""
        return self.long if long else self.short

    def resize(self, slots: int, servers: int) -> None:
        """Replicas came or went."""
        self.short.resize(slots, servers)
        if self.long is not self.short:
            # Beside a run that long it is no loss that the next batch is sent only once it has ended.
            self.long.resize(min(slots, servers), servers)

    def forget(self, queue: Entrant) -> None:
        """It waits for no turn any more."""
        self.short.forget(queue)
        self.long.forget(queue)
