"""How many requests of a model could be judged since the session began, how many failed, and in how many runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.errors import BadRequest, error_of
from serving.telemetry.catalogue import BATCH_ROWS, REQUESTS
from serving.telemetry.snapshot import Snapshot

COUNTED = frozenset({REQUESTS.name, BATCH_ROWS.name})
# Who asks for a version by its number or its variant chose by himself; of those a split decides nothing.
_SPLIT = frozenset({"stable", "canary", ""})


def traffic_seen(model: str, counted: Snapshot, now_s: float, workers: int) -> Mapping[str, Any]:
    """As a rollout counts them: an error of the caller's own making says nothing of a version."""
    requests = errors = 0
    variant_at, outcome_at = (REQUESTS.labels.index(name) for name in ("variant", "outcome"))
    for series, value in counted.counters.items():
        outcome = series.labels[outcome_at]
        if series.metric != REQUESTS.name or series.labels[variant_at] not in _SPLIT or _of_caller(outcome):
            continue
        requests += int(value)
        errors += int(value) if outcome != "ok" else 0
    return {
        "model": model,
        "requests": requests,
        "errors": errors,
        "runs": _runs(counted),
        "workers": workers,
        "at_s": now_s,
    }


def _runs(counted: Snapshot) -> int:
    variant_at = BATCH_ROWS.labels.index("variant")
    return sum(
        sum(seen.counts)
        for series, seen in counted.histograms.items()
        if series.metric == BATCH_ROWS.name and series.labels[variant_at] in _SPLIT
    )


def _of_caller(outcome: str) -> bool:
    return outcome != "ok" and isinstance(error_of(outcome, ""), BadRequest)
