"""What looks at single requests once they are answered: traces first, so that the access log can name them."""

from __future__ import annotations

from serving.errors import ServingError
from serving.inference import Request
from serving.observation import BatchSeen, Flown
from serving.telemetry.tracing.tracer import Tracer


class Watch:
    """The `RequestWatch` of a gateway worker."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def batch_answered(self, seen: BatchSeen, flown: Flown) -> None:
        """A batch gave these requests their answers, or their error."""
        self._tracer.batch_answered(seen, flown)

    def refused(self, request: Request, why: ServingError, now: float) -> None:
        """A request was answered with an error outside of any batch."""
        self._tracer.refused(request, why, now)
