"""What all connections of one worker share."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Protocol

from serving.edge.budget import ByteBudget
from serving.edge.http.answers import Refusal, refusal_of
from serving.edge.http.binary_body import BinaryBodies
from serving.edge.http.compression import Compression
from serving.edge.http.limits import HttpLimits
from serving.edge.http.oversize_decoder import OversizeDecoder
from serving.edge.http.request_head import RequestHead
from serving.edge.http.routes import CHANGES
from serving.edge.turns import Turns
from serving.errors import ServingError, UnknownModel
from serving.inference import CallerContext
from serving.observation import Observer
from serving.request_path.predictions import Predictions

_EVICTED = 16
# So many are looked at for it: a request may just have come on each of the first ones.
_LOOKED_AT = 256

_NO_ERROR = ServingError("none yet")


class Swept(Protocol):
    """A connection as the sweep and the drain see it."""

    def sweep(self, now: float) -> None:
        """End what has waited too long; `now` in monotonic seconds."""

    @property
    def idle_since(self) -> float | None:
        """Since when no request is on it, in monotonic seconds; None where one is."""

    def close_if_idle(self) -> bool:
        """Close it where no request is on it, and none has come to be read; says whether that was so."""

    def abort(self) -> None:
        """Close it now, whatever is on it."""


class Edge:
    """The worker's side of every connection: whom to ask, what is allowed, what time it is."""

    __slots__ = (
        "_last_refusal",
        "binary",
        "budget",
        "clock",
        "compression",
        "connections",
        "draining",
        "limits",
        "now",
        "observer",
        "on_empty",
        "orders",
        "oversize",
        "predictions",
        "release",
        "requests",
        "turns",
    )

    def __init__(
        self, predictions: Predictions, limits: HttpLimits, observer: Observer, clock: Callable[[], float], release: str
    ) -> None:
        self.predictions = predictions
        self.limits = limits
        self.observer = observer
        self.clock = clock
        self.release = release
        self.budget = ByteBudget(limits.in_flight_bytes)
        self.binary = BinaryBodies(limits)
        self.compression = Compression(limits)
        self.turns = Turns(clock)
        self.oversize = OversizeDecoder(limits)
        self.connections: dict[Swept, None] = {}
        # What the session was asked and has not answered yet.
        self.orders: set[asyncio.Task[None]] = set()
        # Begun and not answered yet.
        self.requests = 0
        self.draining = False
        self.on_empty: Callable[[], None] | None = None
        # As of the last sweep: time-outs of seconds need no clock call for each request.
        self.now = clock()
        # While a worker is behind it gives the same one again and again, and each has to cost little.
        self._last_refusal: tuple[ServingError, Refusal] = (_NO_ERROR, refusal_of(_NO_ERROR))

    def admitted(self, connection: Swept) -> Refusal | None:
        """Count a new connection; at the bound the longest idle ones make room; where none can it is refused."""
        limits = self.limits
        refusal = None
        if len(self.connections) >= limits.max_connections and not self._make_room():
            self.observer.refused("", "overloaded")
            message = (
                f"{limits.max_connections} connections are open and busy (http.max_connections); try again in a moment"
            )
            refusal = Refusal(503, message, "overloaded", last=True, headers=b"retry-after: 1\r\n")
        self.connections[connection] = None
        return refusal

    def gone(self, connection: Swept) -> None:
        """A connection has closed."""
        self.connections.pop(connection, None)
        if not self.connections and self.on_empty is not None:
            self.on_empty()

    def refusal(self, head: RequestHead) -> Refusal | None:
        """Why a request whose head is in order is refused without a look at its body."""
        if self.requests >= self.limits.max_requests:
            return self._overloaded(f"{self.requests} requests in flight (http.max_requests)", head.context)
        target = head.target
        error = self.predictions.refusal(target.model, target.version, head.timeout_s, head.priority, head.pinned)
        if not head.wants_body:
            # What the session is asked may be about models that are not served.
            return self._unpermitted(head)
        if error is None:
            return None
        known = "" if isinstance(error, UnknownModel) else head.target.model
        self.observer.refused(known, error.reason, head.context)
        if self._last_refusal[0] is not error:
            self._last_refusal = (error, refusal_of(error))
        return self._last_refusal[1]

    def _unpermitted(self, head: RequestHead) -> Refusal | None:
        if head.target.asks not in CHANGES:
            return None
        try:
            self.predictions.administration.permit(head.authorization)
        except ServingError as error:
            self.observer.refused("", error.reason, head.context)
            return refusal_of(error)
        return None

    def hold(self, size: int, context: CallerContext | None) -> Refusal | None:
        """Count so many bytes more, or say why they may not be held."""
        if not self.budget.fits(size):
            return self.no_room(context)
        self.budget.used += size
        return None

    def no_room(self, context: CallerContext | None) -> Refusal:
        """The answer while too many bytes are in flight; `context` is of the request that is refused for it."""
        return self._overloaded(
            f"{self.limits.in_flight_mb:g} MB of requests and answers in flight (http.in_flight_mb)", context
        )

    def _overloaded(self, what: str, context: CallerContext | None) -> Refusal:
        self.observer.refused("", "overloaded", context)
        message = f"this worker holds {what}; try again in a moment"
        return Refusal(503, message, "overloaded", headers=b"retry-after: 1\r\n")

    def _make_room(self) -> bool:
        # Several at once: finding them is a walk over all connections.
        idle = [(since, id(one), one) for one in self.connections if (since := one.idle_since) is not None]
        closed = 0
        for _, _, connection in heapq.nsmallest(_LOOKED_AT, idle):
            closed += connection.close_if_idle()
            if closed == _EVICTED:
                break
        return closed > 0
