"""What looks at single requests once they are answered: traces first, so that the access log can name them."""

from __future__ import annotations

from serving.errors import ServingError
from serving.inference import Request
from serving.observation import BatchSeen, Flown
from serving.telemetry.access_log import AccessLog
from serving.telemetry.tracing.tracer import NONE, Tracer


class Watch:
    """The `RequestWatch` of a gateway worker; either of its two may be None."""

    def __init__(self, tracer: Tracer | None, access_log: AccessLog | None) -> None:
        self._tracer = tracer
        self._access_log = access_log

    def batch_answered(self, seen: BatchSeen, flown: Flown) -> None:
        """A batch gave these requests their answers, or their error."""
        traced = NONE if self._tracer is None else self._tracer.batch_answered(seen, flown)
        if self._access_log is not None:
            self._access_log.batch_answered(seen, flown, traced)

    def refused(self, request: Request, why: ServingError, now: float) -> None:
        """A request was answered with an error outside of any batch."""
        trace_id = "" if self._tracer is None else self._tracer.refused(request, why, now)
        if self._access_log is not None:
            self._access_log.refused(request, why, now, trace_id)
