"""What was seen of a batch, handed once per batch to whoever counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from serving.errors import ServingError
from serving.inference import CallerContext, Request, VersionKey


@dataclass(slots=True, init=False)
class BatchSeen:
    """Durations in seconds; `run_s` and `encode_s` are the batch's, the others have one entry per request.

    A stage that was not measured stays empty. `slack_s` is the time that the first row had left to its goal when the
    batch was taken, negative where that was over; None where nobody looked.

    `outcome` is "ok" or the stable reason of the error that answered it.
    """

    key: VersionKey
    variant: str
    rows: int
    decode_s: Sequence[float]
    queue_s: Sequence[float]
    run_s: float
    encode_s: float
    total_s: Sequence[float]
    outcome: str
    route_s: Sequence[float]
    features_s: Sequence[float]
    slack_s: float | None

    def __init__(  # noqa: PLR0913, PLR0917 - its fields
        self,
        key: VersionKey,
        variant: str,
        rows: int,
        decode_s: Sequence[float],
        queue_s: Sequence[float],
        run_s: float,
        encode_s: float,
        total_s: Sequence[float],
        outcome: str = "ok",
        route_s: Sequence[float] = (),
        features_s: Sequence[float] = (),
        slack_s: float | None = None,
    ) -> None:
        self.key = key
        self.variant = variant
        self.rows = rows
        self.decode_s = decode_s
        self.queue_s = queue_s
        self.run_s = run_s
        self.encode_s = encode_s
        self.total_s = total_s
        self.outcome = outcome
        self.route_s = route_s
        self.features_s = features_s
        self.slack_s = slack_s


class Observer(Protocol):
    """Counts; called on the loop's thread and must be quick (a few microseconds a batch)."""

    def batch_seen(self, seen: BatchSeen) -> None:
        """A batch was answered."""

    def refused(self, model: str, reason: str, context: CallerContext | None = None) -> None:
        """A request was answered with an error before it reached a batch; `model` is a known name or ''.

        `context` is given by edges, of what they refuse before it is a `Request`.
        """

    def failed(self, key: VersionKey, total_s: float, rows: int, reason: str) -> None:
        """It had reached a version by then, with so many rows, and so long it took in all; told beside `refused`."""


class Flown(NamedTuple):
    """When a batch was taken, when its answer was there, and when its requests had theirs, on the gateway's clock.

    Of its requests only those that it answered, in the order of the times in its `BatchSeen`. Where it runs in a
    replica it waited there for `waited_s` and ran for `run_s`; 0 where nobody measured.
    """

    requests: list[Request]
    taken_at: float
    landed_at: float
    answered_at: float
    run_s: float = 0.0
    waited_s: float = 0.0
    replica: str = ""


class RequestWatch(Protocol):
    """Looks at single requests once they are answered: for traces and the access log, where somebody wants those."""

    def batch_answered(self, seen: BatchSeen, flown: Flown) -> None:
        """A batch gave these requests their answers, or their error."""

    def refused(self, request: Request, why: ServingError, now: float) -> None:
        """A request was answered with an error outside of any batch."""
