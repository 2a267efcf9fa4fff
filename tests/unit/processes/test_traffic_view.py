"""A model's traffic as a rollout would count it."""

from __future__ import annotations

from serving.processes.traffic_view import traffic_seen
from serving.telemetry.catalogue import BATCH_ROWS, REQUESTS
from serving.telemetry.snapshot import Distribution, Series, Snapshot


def counted(*rows: tuple[str, str, int]) -> Snapshot:
    return Snapshot(counters={Series(REQUESTS.name, ("m", "1", variant, outcome)): n for variant, outcome, n in rows})


def test_errors_of_callers_and_requests_that_chose_a_version_are_left_out() -> None:
    seen = counted(
        ("stable", "ok", 90),
        ("stable", "model_failed", 3),
        ("", "overloaded", 2),
        ("", "bad_request", 50),
        ("", "unknown_model", 50),
        ("direct", "ok", 50),
        ("canary", "ok", 5),
    )
    told = traffic_seen("m", seen, 7.0, 2)
    assert told == {"model": "m", "requests": 100, "errors": 5, "runs": 0, "workers": 2, "at_s": 7.0}
    assert traffic_seen("m", Snapshot(), 7.0, 2)["requests"] == 0


def test_runs_of_both_arms_are_counted_and_those_that_chose_a_version_are_left_out() -> None:
    batches = {"stable": (20, 5), "canary": (3, 0), "direct": (40, 0)}
    seen = Snapshot({Series(BATCH_ROWS.name, ("m", "1", name)): Distribution(n, 0.0) for name, n in batches.items()})
    assert traffic_seen("m", seen, 7.0, 2)["runs"] == 28
