"""What looks at single requests once they are answered: traces first, so that the access log can name them."""

from __future__ import annotations

import logging

from serving.errors import ServingError
from serving.inference import Request
from serving.observation import BatchSeen, Flown
from serving.telemetry.access_log import AccessLog
from serving.telemetry.tracing.tracer import NONE, Tracer

log = logging.getLogger(__name__)


class Watch:
    """The `RequestWatch` of a gateway worker; either of its two may be None.

    It is called between the answers of one batch and those of the next: what it raises would strand other callers.
    """

    def __init__(self, tracer: Tracer | None, access_log: AccessLog | None) -> None:
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

    def _tell(self, error: Exception) -> None:
        self._failures += 1
        # The first, the second, the fourth: thousands a second would say the same.
        if not self._failures & self._failures - 1:
            log.error("a request was answered, but not looked at; so far %d times", self._failures, exc_info=error)
