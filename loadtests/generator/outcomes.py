"""What became of each request of a load, as columns; all times are seconds on the clock that the load ran by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from http import HTTPStatus
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Beside HTTP's own: what no server says.
UNANSWERED = 0
LOST = -1
UNSENT = -2
WRONG = -3
# A call that ended without a code of gRPC's; with one it is so far below GRPC_STATUS.
GRPC_ERROR = -4
GRPC_STATUS = -100
# From 1 on, by gRPC's own numbers.
GRPC_CODES = (
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
SAID = {
    UNANSWERED: "unanswered",
    LOST: "connection lost",
    UNSENT: "unsent",
    WRONG: "wrong answer",
    GRPC_ERROR: "gRPC error",
    **{GRPC_STATUS - number: f"gRPC {code}" for number, code in enumerate(GRPC_CODES, 1)},
}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One entry a request in each column, in the order in which they were due.

    `status` is HTTP's, or gRPC's below `GRPC_STATUS`; `WRONG` for a 200 with an answer to something else, `LOST` where
    the connection broke, `UNANSWERED` where patience ended first, `UNSENT` where as many were out already as may be.
    `stream` tells what was asked for, `variant` which of the names that the generator kept answered, -1 where none was
    told. `sent` and `ended` are NaN where that never happened.
    """

    due: NDArray[np.float64]
    sent: NDArray[np.float64]
    ended: NDArray[np.float64]
    status: NDArray[np.int16]
    retry_after: NDArray[np.bool_]
    stream: NDArray[np.int16]
    variant: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.due)

    @property
    def took(self) -> NDArray[np.float64]:
        """From when it was due, not from when it was sent: who waits for a late generator waits too."""
        return self.ended - self.due

    def where(self, chosen: NDArray[np.bool_]) -> Outcomes:
        """Those requests alone."""
        return Outcomes(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def between(self, began: float, ended: float) -> Outcomes:
        """Requests that were due then."""
        return self.where((self.due >= began) & (self.due < ended))

    def within(self, slo_s: float) -> NDArray[np.bool_]:
        """Which were answered rightly and in time."""
        within: NDArray[np.bool_] = np.logical_and(self.status == HTTPStatus.OK, self.took <= slo_s)
        return within


def joined(parts: Sequence[Outcomes]) -> Outcomes:
    """The loads of several generators that began at one moment, in the order in which requests were due."""
    whole = Outcomes(*(np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(Outcomes)))
    order = np.argsort(whole.due, kind="stable")
    return Outcomes(*(getattr(whole, field.name)[order] for field in fields(Outcomes)))


def figures(outcomes: Outcomes, seconds: float, slo_s: float) -> dict[str, Any]:
    """What a phase of so many seconds came to; goodput is right answers within the goal per second."""
    within = int(outcomes.within(slo_s).sum())
    right = outcomes.where(outcomes.status == HTTPStatus.OK)
    refused = outcomes.where(outcomes.status == HTTPStatus.SERVICE_UNAVAILABLE)
    return {
        "seconds": seconds,
        "offered": len(outcomes),
        "offered_per_second": len(outcomes) / seconds,
        "answered_per_second": len(right) / seconds,
        "goodput_per_second": within / seconds,
        "share_within": within / max(1, len(outcomes)),
        "right": milliseconds(right.took),
        "refused": {
            "count": len(refused),
            "with_retry_after": int(refused.retry_after.sum()),
            **milliseconds(refused.took),
        },
        "by_status": by_status(outcomes),
    }


def milliseconds(seconds: NDArray[np.float64]) -> dict[str, float | None]:
    """p50, p90, p99 and the largest; None where there is nothing."""
    shares = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1.0}
    ordered = np.sort(seconds)
    return {
        name: round(nearest_rank(ordered, share) * 1e3, 4) if len(ordered) else None for name, share in shares.items()
    }


def nearest_rank(ordered: NDArray[np.float64], share: float) -> float:
    """A value that was really measured: the least that this share of all does not exceed."""
    return float(ordered[max(math.ceil(share * len(ordered)) - 1, 0)])


def by_status(outcomes: Outcomes) -> dict[str, int]:
    """How many of each."""
    found, counts = np.unique(outcomes.status, return_counts=True)
    return {SAID.get(int(s), str(s)): int(count) for s, count in zip(found, counts, strict=True)}


def recovery_s(outcomes: Outcomes, fell_at: float, slo_s: float, share: float = 0.99) -> float | None:
    """Seconds after the load fell until from then on this share of all requests was answered within the goal.

    None where that never came.
    """
    after = outcomes.where(outcomes.due >= fell_at)
    if not len(after):
        return None
    good = after.within(slo_s)
    # Of each request and all that follow it.
    shares = np.cumsum(good[::-1])[::-1] / np.arange(len(good), 0, -1)
    held = np.flatnonzero(shares >= share)
    if not len(held):
        return None
    return 0.0 if held[0] == 0 else float(after.due[held[0]] - fell_at)
