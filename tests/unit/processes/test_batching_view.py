"""What several workers tell of a model's batches, as one answer."""

from __future__ import annotations

from typing import Any

import pytest

from serving.control.batching_answer import Batching
from serving.processes.batching_view import batching_seen
from serving.routing.table import Route, Served, Split
from serving.telemetry.buckets import ROWS, SLACK_SECONDS, Histogram
from serving.telemetry.catalogue import BATCH_ROWS, BATCH_SLACK, REFUSED_ROWS, REQUESTS
from serving.telemetry.snapshot import Distribution, Series, Snapshot

SERVED = (Served(1, "default"), Served(2, "default@2"))
ROUTE = Route("m", "salt", (Split("stable", 1, 9_000), Split("canary", 2, 1_000)), SERVED)
STABLE = ("m", "1", "stable")
FACTS: dict[str, Any] = {
    "version": 1,
    "variant": "stable",
    "estimate": {"fixed_s": 0.001, "row_s": 0.0001, "margin": 1.5, "runs": 300},
    "drag": 1.0,
    "window": {"most_rows": 64, "enough_rows": 8, "max_rows": 64},
    "goal_s": 0.02,
    "promised": True,
    "queue_rows": {"2": 3},
    "slots": 2,
    "servers": 1,
}


def told(lag_s: float = 0.0, **other: Any) -> dict[str, Any]:
    return {"variants": [{**FACTS, **other}], "loop_lag_s": lag_s}


def distribution(bounds: tuple[float, ...], values: list[float]) -> Distribution:
    histogram = Histogram(bounds)
    for value in values:
        histogram.add(value)
    return Distribution(tuple(histogram.counts), histogram.total)


def test_queues_are_sums_estimates_means_by_runs_and_the_smallest_window_counts() -> None:
    other = told(
        0.004,
        estimate={"fixed_s": 0.005, "row_s": 0.0001, "margin": 1.5, "runs": 100},
        window={"most_rows": 32, "enough_rows": 16, "max_rows": 64},
        queue_rows={"1": 1, "2": 4},
        slots=3,
        drag=1.25,
    )
    seen = batching_seen(ROUTE, {4: told(), 7: other}, Snapshot())
    version = seen["versions"][0]
    assert version["estimate"] == pytest.approx({"fixed_s": 0.002, "row_s": 0.0001, "margin": 1.5, "runs": 400})
    assert version["window"] == {"most_rows": 32, "enough_rows": 8, "max_rows": 64}
    assert version["queue_rows"] == {"1": 1, "2": 7}
    assert (version["slots"], version["servers"], version["drag"], seen["loop_lag_s"]) == (3, 1, 1.25, 0.004)
    assert [(one["worker"], one["estimate"]["runs"]) for one in version["workers"]] == [(7, 100), (4, 300)]
    Batching.model_validate(seen)


def test_a_version_that_nothing_hosts_is_shown_without_an_estimate() -> None:
    seen = batching_seen(ROUTE, {4: told()}, Snapshot())
    waiting = seen["versions"][1]
    assert (waiting["version"], waiting["variant"], waiting["estimate"], waiting["workers"]) == (2, "canary", None, [])
    Batching.model_validate(seen)


def test_batches_slack_and_refusals_are_counted_over_all_workers() -> None:
    counted = Snapshot(
        {
            Series(BATCH_ROWS.name, STABLE): distribution(ROWS, [2, 4, 6]),
            Series(BATCH_SLACK.name, STABLE): distribution(SLACK_SECONDS, [-0.5, *[0.003] * 9, *[0.015] * 10]),
        },
        {
            Series(REFUSED_ROWS.name, ("m", "1", "would_be_late")): 12,
            Series(REFUSED_ROWS.name, ("m", "2", "overloaded")): 1,
            Series(REQUESTS.name, ("m", "", "", "overloaded")): 5,
            Series(REQUESTS.name, (*STABLE, "ok")): 99,
        },
    )
    seen = batching_seen(ROUTE, {4: told()}, counted)
    stable, canary = seen["versions"]
    assert (stable["batches"], stable["rows_per_batch"]) == (3, 4.0)
    assert stable["slack"] == {"batches": 20, "late": 1, "half_had_s": 0.01, "most_had_s": 0.002}
    assert (stable["refused_rows"], canary["refused_rows"]) == ({"would_be_late": 12}, {"overloaded": 1})
    assert seen["refused_requests"] == {"overloaded": 5}
    assert canary["slack"] == {"batches": 0, "late": 0, "half_had_s": None, "most_had_s": None}
    Batching.model_validate(seen)


def test_where_most_batches_were_very_late_no_slack_is_told() -> None:
    counted = Snapshot({Series(BATCH_SLACK.name, STABLE): distribution(SLACK_SECONDS, [-5.0] * 3)})
    slack = batching_seen(ROUTE, {4: told()}, counted)["versions"][0]["slack"]
    assert slack == {"batches": 3, "late": 3, "half_had_s": None, "most_had_s": None}
