"""Percentiles that hide nothing: who was never answered waited longer than everybody else."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtests.generator.outcomes import LOST, UNANSWERED, UNSENT, Outcomes, by_status, nearest_rank

SHARES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}
Seconds = NDArray[np.float64]


def waits(outcomes: Outcomes) -> Seconds:
    """Sorted, in seconds, from when each was due: right answers, and infinity for who was never answered.

    Refusals and wrong answers have no part in it: they are counted as errors, and a quick refusal is no quick answer.
    """
    right = np.sort(outcomes.took[outcomes.status == HTTPStatus.OK])
    return np.concatenate([right, np.full(never_answered(outcomes), np.inf)])


def never_answered(outcomes: Outcomes) -> int:
    """How many wait without an end."""
    return int(np.isin(outcomes.status, (LOST, UNANSWERED, UNSENT)).sum())


def percentile_ms(ordered: Seconds, share: float) -> float | None:
    """None where there is nothing; infinity where so many were never answered."""
    return nearest_rank(ordered, share) * 1e3 if len(ordered) else None


def percentiles(ordered: Seconds) -> dict[str, float | None]:
    """The usual ones, fit for JSON, which has no infinity."""
    return {name: finite(percentile_ms(ordered, share)) for name, share in SHARES.items()}


def finite(value: float | None) -> float | None:
    """None for what is no number."""
    return None if value is None or not math.isfinite(value) else round(value, 4)


def summary(outcomes: Outcomes, seconds: float) -> dict[str, Any]:
    """What so many seconds of a load came to."""
    count = len(outcomes)
    right = int((outcomes.status == HTTPStatus.OK).sum())
    return {
        "seconds": round(seconds, 3),
        "requests": count,
        "right": right,
        "requests_per_second": round(count / seconds, 2) if seconds else None,
        "right_per_second": round(right / seconds, 2) if seconds else None,
        "error_share": error_share(outcomes),
        "by_status": by_status(outcomes),
        **percentiles(waits(outcomes)),
    }


def error_share(outcomes: Outcomes) -> float | None:
    """Of all that should have been answered, the share that was not, or wrongly."""
    return float((outcomes.status != HTTPStatus.OK).mean()) if len(outcomes) else None


def ladder(ordered: Seconds) -> list[tuple[float, float | None, int]]:
    """Share, milliseconds, and how many took longer, for a chart towards 100 % and a table behind it."""
    count = len(ordered)
    shares = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 0.99999]
    steps = [share for share in shares if count and (1 - share) * count >= 1]
    rungs = [
        (share, finite(percentile_ms(ordered, share)), count - max(math.ceil(share * count), 1)) for share in steps
    ]
    return [*rungs, (1.0, finite(percentile_ms(ordered, 1.0)), 0)] if count else []


def histogram(ordered: Seconds, per_decade: int = 10) -> list[tuple[float, float, int]]:
    """Milliseconds from and to, and how many: buckets equally wide on a log scale; the endless are left out."""
    milliseconds = ordered[np.isfinite(ordered)] * 1e3
    if not len(milliseconds):
        return []
    low = math.floor(math.log10(max(milliseconds[0], 1e-3)) * per_decade)
    high = math.floor(math.log10(max(milliseconds[-1], 1e-3)) * per_decade) + 1
    borders = 10 ** (np.arange(low, high + 1) / per_decade)
    borders[0] = 0.0 if milliseconds[0] < borders[0] else borders[0]
    counts, _ = np.histogram(milliseconds, borders)
    return [
        (round(float(begins), 4), round(float(ends), 4), int(count))
        for begins, ends, count in zip(borders, borders[1:], counts, strict=False)
    ]
