"""How many requests of a model could be judged since the session began, and how many of them ended in an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.errors import BadRequest, error_of
from serving.telemetry.catalogue import REQUESTS
from serving.telemetry.snapshot import Snapshot

COUNTED = frozenset({REQUESTS.name})
# Who asks for a version by its number or its variant chose by himself; of those a split decides nothing.
_SPLIT = frozenset({"stable", "canary", ""})


def traffic_seen(model: str, counted: Snapshot, now_s: float) -> Mapping[str, Any]:
    """As a rollout counts them: an error of the caller's own making says nothing of a version."""
    requests = errors = 0
    variant_at, outcome_at = (REQUESTS.labels.index(name) for name in ("variant", "outcome"))
    for series, value in counted.counters.items():
        outcome = series.labels[outcome_at]
        if series.metric != REQUESTS.name or series.labels[variant_at] not in _SPLIT or _of_caller(outcome):
            continue
        requests += int(value)
        errors += int(value) if outcome != "ok" else 0
    return {"model": model, "requests": requests, "errors": errors, "at_s": now_s}


def _of_caller(outcome: str) -> bool:
    return outcome != "ok" and isinstance(error_of(outcome, ""), BadRequest)
