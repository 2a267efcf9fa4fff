"""How a session batches one model, as the control app tells it: each worker's own view, and all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from serving.batching.latency_model import Estimate
from serving.batching.learned import Learned
from serving.inference import VersionKey
from serving.processes.learned_estimates import merged_estimate
from serving.routing.table import Route, Served
from serving.telemetry.buckets import ROWS, SLACK_SECONDS
from serving.telemetry.catalogue import BATCH_ROWS, BATCH_SLACK, REFUSED_ROWS, REQUESTS
from serving.telemetry.snapshot import Distribution, Series, Snapshot

Facts = Mapping[str, Any]

COUNTED = frozenset(spec.name for spec in (BATCH_ROWS, BATCH_SLACK, REFUSED_ROWS, REQUESTS))
_NOTHING_ROWS = Distribution((0,) * (len(ROWS) + 1), 0.0)
_NOTHING_SLACK = Distribution((0,) * (len(SLACK_SECONDS) + 1), 0.0)


def batching_seen(route: Route, told: Mapping[int, Facts], counted: Snapshot) -> Facts:
    """`told` is what each worker answered, by its number; `counted` are the model's series, of ended workers too.

    Queues and refusals are sums, estimates means that weigh by runs; of windows the smallest is shown, of lags the
    longest.
    """
    return {
        "model": route.model,
        "loop_lag_s": max((facts["loop_lag_s"] for facts in told.values()), default=0.0),
        "refused_requests": _refused_requests(route.model, counted),
        "versions": [
            _version(route, served, variant, told, counted)
            for served in route.served
            for variant in _variants(route, served, told)
        ],
    }


def _variants(route: Route, served: Served, told: Mapping[int, Facts]) -> Sequence[str]:
    """Its roles, as workers see them; where nothing hosts it, as the table has them."""
    seen = {one["variant"] for facts in told.values() for one in facts["variants"] if one["version"] == served.version}
    routed = {split.variant for split in route.splits if split.version == served.version}
    return sorted(seen or routed or {"direct"})


def _version(route: Route, served: Served, variant: str, told: Mapping[int, Facts], counted: Snapshot) -> Facts:
    workers = list(_workers(served.version, variant, told))
    labels = (route.model, str(served.version), variant)
    rows = counted.histograms.get(Series(BATCH_ROWS.name, labels), _NOTHING_ROWS)
    batches = sum(rows.counts)
    return {
        "version": served.version,
        "variant": variant,
        "pool": served.pool,
        **_together(workers),
        "batches": batches,
        "rows_per_batch": rows.total / batches if batches else 0.0,
        "slack": _slack(counted.histograms.get(Series(BATCH_SLACK.name, labels), _NOTHING_SLACK)),
        "refused_rows": _refused_rows(VersionKey(route.model, served.version), counted),
        "workers": workers,
    }


def _workers(version: int, variant: str, told: Mapping[int, Facts]) -> Iterator[dict[str, Any]]:
    # The newest first, as estimates are merged.
    for worker, facts in sorted(told.items(), reverse=True):
        for one in facts["variants"]:
            if (one["version"], one["variant"]) == (version, variant):
                yield {**one, "worker": worker, "loop_lag_s": facts["loop_lag_s"]}


def _together(workers: Sequence[Facts]) -> Facts:
    if not workers:
        none: Facts = dict.fromkeys(("estimate", "drag", "window", "goal_s", "promised"))
        return {**none, "queue_rows": {}, "slots": 0, "servers": 0}
    newest = workers[0]
    levels = sorted({level for one in workers for level in one["queue_rows"]})
    return {
        "estimate": _mean(workers),
        "drag": max(one["drag"] for one in workers),
        "window": {name: min(one["window"][name] for one in workers) for name in newest["window"]},
        "goal_s": newest["goal_s"],
        "promised": newest["promised"],
        "queue_rows": {level: sum(one["queue_rows"].get(level, 0) for one in workers) for level in levels},
        "slots": max(one["slots"] for one in workers),
        "servers": max(one["servers"] for one in workers),
    }


def _mean(workers: Sequence[Facts]) -> Facts:
    found = []
    for one in workers:
        seen = one["estimate"]
        estimate = Estimate(seen["fixed_s"], seen["row_s"], seen["margin"])
        found.append(Learned("", VersionKey("", 0), "", estimate, seen["runs"]))
    merged = merged_estimate(found)
    return {**merged.estimate._asdict(), "runs": merged.runs}


def _slack(seen: Distribution) -> Facts:
    """`late` batches were taken when the time of their first row was over."""
    batches, late = sum(seen.counts), sum(seen.counts[: SLACK_SECONDS.index(0.0) + 1])
    return {
        "batches": batches,
        "late": late,
        "half_had_s": _had_more(seen, 0.5),
        "most_had_s": _had_more(seen, 0.95),
    }


def _had_more(seen: Distribution, share: float) -> float | None:
    """Seconds than which at least this share of the batches had more left; None where too many had next to none."""
    batches = sum(seen.counts)
    if not batches:
        return None
    upto = zip(SLACK_SECONDS, accumulate(seen.counts), strict=False)
    return max((bound for bound, fewer in upto if batches - fewer >= share * batches), default=None)


def _refused_rows(key: VersionKey, counted: Snapshot) -> Mapping[str, float]:
    model, version = key.model, str(key.version)
    return {
        series.labels[2]: rows
        for series, rows in sorted(counted.counters.items())
        if series.metric == REFUSED_ROWS.name and series.labels[:2] == (model, version)
    }


def _refused_requests(model: str, counted: Snapshot) -> Mapping[str, float]:
    """Those that reached no batch, also such as were refused at their head; no version is known of them."""
    return {
        series.labels[3]: requests
        for series, requests in sorted(counted.counters.items())
        if series.metric == REQUESTS.name and series.labels[:2] == (model, "")
    }
