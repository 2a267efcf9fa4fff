"""What looks at single requests once they are answered: traces first, so that the access log can name them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

from serving.errors import ServingError
from serving.inference import CallerContext, Request, VersionKey
from serving.observation import BatchSeen, Flown, Observer
from serving.telemetry.tracing.tracer import NONE

log = logging.getLogger(__name__)


class Traces(Protocol):
    """Has requests traced; tells the ids of their traces."""

    def batch_answered(self, seen: BatchSeen, flown: Flown) -> Mapping[Request, str]:
        """A batch gave these requests their answers, or their error."""

    def refused(self, request: Request, why: ServingError, now: float) -> str:
        """A request was answered with an error outside of any batch; "" where it is not traced."""

    def turned_away(self, model: str, reason: str, context: CallerContext | None) -> str:
        """An edge refused something before it was a request; "" where it is not traced."""


class Lines(Protocol):
    """Writes requests down."""

    def batch_answered(self, seen: BatchSeen, flown: Flown, traced: Mapping[Request, str]) -> None:
        """A batch gave these requests their answers, or their error."""

    def refused(self, request: Request, why: ServingError, now: float, trace_id: str) -> None:
        """A request was answered with an error outside of any batch."""

    def turned_away(self, model: str, reason: str, context: CallerContext | None, trace_id: str) -> None:
        """An edge refused something before it was a request."""


class Watch:
    """The `RequestWatch` of a gateway worker; either of its two may be None.

    It is called between the answers of one batch and those of the next: what it raises would strand other callers.
    """

    def __init__(self, tracer: Traces | None, access_log: Lines | None) -> None:
        self._tracer = tracer
        self._access_log = access_log
        self._failures = 0

    def batch_answered(self, seen: BatchSeen, flown: Flown) -> None:
        """A batch gave these requests their answers, or their error."""
        try:
            traced = NONE if self._tracer is None else self._tracer.batch_answered(seen, flown)
            if self._access_log is not None:
                self._access_log.batch_answered(seen, flown, traced)
        except Exception as error:  # noqa: BLE001 - see above
            self._tell(error)

    def refused(self, request: Request, why: ServingError, now: float) -> None:
        """A request was answered with an error outside of any batch."""
        try:
            trace_id = "" if self._tracer is None else self._tracer.refused(request, why, now)
            if self._access_log is not None:
                self._access_log.refused(request, why, now, trace_id)
        except Exception as error:  # noqa: BLE001 - see above
            self._tell(error)

    def turned_away(self, model: str, reason: str, context: CallerContext | None) -> None:
        """An edge refused something before it was a request; `model` is a known name or ""."""
        try:
            trace_id = "" if self._tracer is None else self._tracer.turned_away(model, reason, context)
            if self._access_log is not None:
                self._access_log.turned_away(model, reason, context, trace_id)
        except Exception as error:  # noqa: BLE001 - see above
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        self._failures += 1
        # The first, the second, the fourth: thousands a second would say the same.
        if not self._failures & self._failures - 1:
            log.error("a request was answered, but not looked at; so far %d times", self._failures, exc_info=error)


class WatchedObserver:
    """The observer that edges tell of what they refuse: counted by `counts`, and looked at."""

    def __init__(self, counts: Observer, watch: Watch) -> None:
        self._counts = counts
        self._watch = watch

    def batch_seen(self, seen: BatchSeen) -> None:
        """Edges see none."""
        self._counts.batch_seen(seen)

    def refused(self, model: str, reason: str, context: CallerContext | None = None) -> None:
        """A request was answered with an error by its edge."""
        self._counts.refused(model, reason)
        self._watch.turned_away(model, reason, context)

    def failed(self, key: VersionKey, total_s: float, rows: int, reason: str) -> None:
        """Edges know of none."""
        self._counts.failed(key, total_s, rows, reason)
