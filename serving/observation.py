"""What was seen of a batch, handed once per batch to whoever counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serving.inference import VersionKey


@dataclass(slots=True)
class BatchSeen:
    """Durations in seconds; `run_s` and `encode_s` are the batch's, the others have one entry per request.

    A stage that was not measured stays empty.

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
    outcome: str = "ok"
    route_s: Sequence[float] = ()
    features_s: Sequence[float] = ()


class Observer(Protocol):
    """Counts; called on the loop's thread and must be quick (a few microseconds a batch)."""

    def batch_seen(self, seen: BatchSeen) -> None:
        """A batch was answered."""

    def refused(self, model: str, reason: str) -> None:
        """A request was answered with an error before it reached a batch; `model` is a known name or ''."""

    def failed(self, key: VersionKey, total_s: float) -> None:
        """It had reached a version by then, and so long it took in all; told beside `refused`."""
