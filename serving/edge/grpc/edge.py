"""What all connections of one worker share."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Protocol

from serving.edge.grpc.codec import Codec
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.turns import Turns
from serving.edge.worker import Worker
from serving.errors import Overloaded
from serving.observation import Observer
from serving.request_path.predictions import Predictions

_EVICTED = 16


class Swept(Protocol):
    """A connection as the sweep and the drain see it."""

    def sweep(self, now: float) -> None:
        """End what has waited too long; `now` in monotonic seconds."""

    @property
    def idle_since(self) -> float | None:
        """Since when no call is on it, in monotonic seconds; None where one is."""

    def close_if_idle(self) -> bool:
        """Close it where no call is on it; says whether that was so."""

    def say_goodbye(self) -> None:
        """Tell the client to take another connection for its next calls."""

    def take_no_more(self) -> None:
        """Refuse calls that begin from now on; those that began before go on."""

    def abort(self) -> None:
        """Close it now, whatever is on it."""


class GrpcEdge:
    """The worker's side of every connection: whom to ask, what is allowed, what time it is.

    `budget` counts the bytes of both edges: memory is the worker's.
    """

    __slots__ = (
        "budget",
        "clock",
        "codec",
        "connections",
        "draining",
        "limits",
        "now",
        "observer",
        "on_empty",
        "orders",
        "predictions",
        "release",
        "turns",
    )

    def __init__(
        self,
        predictions: Predictions,
        limits: GrpcLimits,
        observer: Observer,
        worker: Worker,
    ) -> None:
        self.predictions = predictions
        self.limits = limits
        self.observer = observer
        self.clock = worker.clock
        self.release = worker.release
        self.budget = worker.budget
        self.codec = Codec(limits)
        self.turns = Turns(worker.clock)
        self.connections: dict[Swept, None] = {}
        self.draining = False
        self.orders: set[asyncio.Task[None]] = set()
        self.on_empty: Callable[[], None] | None = None
        # As of the last sweep: time-outs of seconds need no clock call for each call.
        self.now = worker.clock()

    def admit(self, connection: Swept) -> bool:
        """Count a new connection; at the bound the longest idle ones make room, and if none is idle it is refused."""
        fits = len(self.connections) < self.limits.max_connections or self._make_room()
        if not fits:
            self.observer.refused("", Overloaded.reason)
        self.connections[connection] = None
        return fits

    def gone(self, connection: Swept) -> None:
        """A connection has closed."""
        self.connections.pop(connection, None)
        if not self.connections and self.on_empty is not None:
            self.on_empty()

    def take(self, size: int) -> None:
        """Count the bytes of a message before they are awaited.

        Raises:
            Overloaded: the worker holds as much as it may.
        """
        if not self.budget.fits(size):
            held = self.budget.capacity >> 20
            raise Overloaded(
                f"this worker holds {held:g} MB of requests and answers in flight (http.in_flight_mb); "
                "try again in a moment"
            )
        self.budget.used += size

    def _make_room(self) -> bool:
        # Several at once: finding them is a walk over all connections.
        idle = [(since, id(one), one) for one in self.connections if (since := one.idle_since) is not None]
        for _, _, connection in heapq.nsmallest(_EVICTED, idle):
            connection.close_if_idle()
        return bool(idle)
