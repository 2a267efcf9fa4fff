"""A worker's counts: complete, cumulative, and ended with the version they belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from serving.inference import VersionKey
from serving.observation import BatchSeen
from serving.telemetry.buckets import SECONDS, SLACK_SECONDS
from serving.telemetry.catalogue import BATCH_SLACK, HEDGED_BATCHES, REFUSED_ROWS
from serving.telemetry.fleet_counts import FleetCounts
from serving.telemetry.recorder import Recorder
from serving.telemetry.snapshot import Exemplar, Series, Snapshot, load, load_usage

V1, V2, OTHER = VersionKey("m", 1), VersionKey("m", 2), VersionKey("other", 1)
STABLE = ("m", "1", "stable")


def seen(key: VersionKey = V1, requests: int = 2, outcome: str = "ok", variant: str = "stable") -> BatchSeen:
    times = [0.001] * requests
    return BatchSeen(key, variant, requests * 3, times, times, 0.002, 0.0001, times, outcome, times, times)


def read(message: Mapping[str, Any]) -> Snapshot:
    snapshot = load(json.loads(json.dumps(message)))
    assert snapshot is not None
    return snapshot


def stage(snapshot: Snapshot, *labels: str) -> int:
    return sum(snapshot.histograms[Series("sluice_stage_seconds", labels)].counts)


def test_every_stage_is_counted_once_per_request_or_once_per_batch() -> None:
    recorder = Recorder()
    recorder.batch_seen(seen())
    snapshot = read(recorder.snapshot())
    per_request = [stage(snapshot, name, "m", "", "") for name in ("decode", "route", "features", "queue")]
    assert per_request == [2, 2, 2, 2]
    assert stage(snapshot, "encode", "m", "", "") == 1
    assert stage(snapshot, "run", *STABLE) == 1
    assert stage(snapshot, "total", *STABLE) == 2
    assert snapshot.histograms[Series("sluice_batch_rows", STABLE)].total == 6
    assert snapshot.counters[Series("sluice_rows_total", STABLE)] == 6


def test_a_stage_that_was_not_measured_has_no_series() -> None:
    recorder = Recorder()
    recorder.batch_seen(BatchSeen(V1, "stable", 1, [0.1], [0.1], 0.1, 0.1, [0.1]))
    names = {series.labels[0] for series in read(recorder.snapshot()).histograms if len(series.labels) == 4}
    assert names == {"decode", "queue", "run", "encode", "total"}


def test_requests_are_counted_by_outcome_also_those_that_reached_no_batch() -> None:
    recorder = Recorder()
    recorder.batch_seen(seen())
    recorder.batch_seen(seen(requests=1, outcome="model_failed"))
    recorder.refused("m", "overloaded")
    recorder.refused("", "bad_request")
    counters = read(recorder.snapshot()).counters
    assert counters[Series("sluice_requests_total", (*STABLE, "ok"))] == 2
    assert counters[Series("sluice_requests_total", (*STABLE, "model_failed"))] == 1
    assert counters[Series("sluice_requests_total", ("m", "", "", "overloaded"))] == 1
    assert counters[Series("sluice_requests_total", ("", "", "", "bad_request"))] == 1


def test_a_snapshot_tells_only_what_was_used_since_the_last_one() -> None:
    recorder = Recorder()
    recorder.batch_seen(seen())
    recorder.batch_seen(seen(OTHER))
    recorder.snapshot()
    recorder.batch_seen(seen())
    again = read(recorder.snapshot())
    assert stage(again, "total", *STABLE) == 4
    assert all("other" not in series.labels for series in again.histograms)


def test_a_thousand_busy_versions_are_told_over_several_snapshots_and_none_is_forgotten() -> None:
    recorder, fleet = Recorder(), FleetCounts()
    for version in range(1000):
        recorder.batch_seen(seen(VersionKey(f"m{version}", 1)))
    first = recorder.snapshot()
    assert len(first["histograms"]) < 2000
    fleet.counted(1, first)
    for _ in range(4):
        # One that is always busy does not push out those that wait.
        recorder.batch_seen(seen(VersionKey("m0", 1)))
        fleet.counted(1, recorder.snapshot())
    totals = [series for series in fleet.merged(Snapshot()).histograms if series.labels[0] == "total"]
    assert len(totals) == 1000


def test_the_counts_of_a_version_that_is_no_longer_served_end() -> None:
    recorder = Recorder()
    recorder.serve([V1, V2, OTHER])
    for key in (V1, V2, OTHER):
        recorder.batch_seen(seen(key))
    recorder.refused("other", "overloaded")
    recorder.serve([V2])
    snapshot = read(recorder.snapshot())
    assert snapshot.versions == frozenset({V2})
    assert {series.labels[-3:] for series in snapshot.histograms if series.labels[-2]} == {("m", "2", "stable")}
    assert not any("other" in series.labels for series in snapshot.counters)


def test_served_versions_are_told_once() -> None:
    recorder = Recorder()
    recorder.serve([V1])
    assert recorder.snapshot()["versions"] == [["m", 1]]
    recorder.serve([V1])
    assert recorder.snapshot()["versions"] is None


def test_a_gauge_is_told_for_one_snapshot_only() -> None:
    recorder = Recorder()
    recorder.queue_rows(V1, "stable", 7)
    assert read(recorder.snapshot()).gauges == {Series("sluice_queue_rows", STABLE): 7}
    assert read(recorder.snapshot()).gauges == {}


def test_a_counter_that_is_kept_elsewhere_is_told_in_every_snapshot() -> None:
    recorder = Recorder()
    for count in (1, 4):
        recorder.counted(HEDGED_BATCHES, ("default",), count)
    for _ in range(2):
        assert read(recorder.snapshot()).counters[Series("sluice_hedged_batches_total", ("default",))] == 4


def test_text_of_callers_that_becomes_a_label_by_mistake_stays_bounded() -> None:
    recorder = Recorder()
    for number in range(10_050):
        recorder.refused(f"made up {number}", "unknown_model")
    counters = read(recorder.snapshot()).counters
    assert len(counters) <= 10_001
    assert counters[Series("sluice_requests_total", ("", "", "", "unknown_model"))] == 50


def test_values_of_features_are_counted_for_each_variant_by_status_and_end_with_their_version() -> None:
    recorder = Recorder()
    year = ("plane", "year")
    recorder.feature_values(V1, "stable", year, {"present": 3, "null": 1})
    recorder.feature_values(V1, "stable", year, {"present": 2})
    recorder.feature_values(V2, "canary", year, {"null": 7})
    recorder.feature_read_failed("late")
    counters = read(recorder.snapshot()).counters
    stable, canary = (V1.model, "1", "stable", *year), (V2.model, "2", "canary", *year)
    assert counters[Series("sluice_feature_values_total", (*stable, "present"))] == 5
    assert counters[Series("sluice_feature_values_total", (*stable, "null"))] == 1
    assert counters[Series("sluice_feature_values_total", (*canary, "null"))] == 7
    assert counters[Series("sluice_feature_read_errors_total", ("late",))] == 1
    recorder.serve([V1])
    labels = [s.labels for s in read(recorder.snapshot()).counters if s.metric == "sluice_feature_values_total"]
    assert {label[:3] for label in labels} == {stable[:3]}
    recorder.serve([OTHER])
    names = {series.metric for series in read(recorder.snapshot()).counters}
    assert names == {"sluice_feature_read_errors_total"}


def test_the_slack_of_batches_is_counted_where_somebody_looked() -> None:
    recorder = Recorder()
    recorder.batch_seen(seen())
    assert not [series for series in read(recorder.snapshot()).histograms if series.metric == BATCH_SLACK.name]
    for slack_s in (-5.0, -0.0001, 0.0, 0.003, 20.0):
        recorder.batch_seen(replace(seen(), slack_s=slack_s))
    counted = read(recorder.snapshot()).histograms[Series(BATCH_SLACK.name, STABLE)]
    by_bound = dict(zip((*SLACK_SECONDS, float("inf")), counted.counts, strict=True))
    assert {bound: count for bound, count in by_bound.items() if count} == {-1.0: 1, 0.0: 2, 0.005: 1, float("inf"): 1}


def test_refused_rows_are_counted_by_version_and_reason_and_end_with_the_version() -> None:
    recorder = Recorder()
    recorder.failed(V1, 0.0, 3, "overloaded")
    recorder.failed(V1, 0.0, 1, "overloaded")
    recorder.failed(V1, 0.0, 2, "would_be_late")
    recorder.failed(V2, 0.0, 1, "overloaded")
    recorder.serve([V1])
    counters = read(recorder.snapshot()).counters
    refused = {series.labels: rows for series, rows in counters.items() if series.metric == REFUSED_ROWS.name}
    assert refused == {("m", "1", "overloaded"): 4, ("m", "1", "would_be_late"): 2}


def test_usage_counts_requests_rows_and_batches_by_their_size() -> None:
    recorder = Recorder(lambda: 1_700_000_000.0)
    recorder.batch_seen(seen())
    recorder.batch_seen(seen(requests=3))
    recorder.batch_seen(seen(outcome="model_failed"))
    recorder.failed(V1, 0.25, 3, "overloaded")
    used = recorder.usage()[V1]
    assert (used.answered, used.failed, used.rows, used.batches, used.last_at) == (5, 3, 15, 2, 1_700_000_000.0)
    assert (used.total_s, used.queue_s) == pytest.approx((0.005, 0.005))
    # Decoding and reading features; a batch's run and output count whole for each of its requests.
    assert used.input_s == pytest.approx(0.010)
    assert (used.infer_s, used.output_s) == pytest.approx((0.010, 0.0005))
    assert used.failed_s == pytest.approx(0.252)
    assert {rows: runs.times for rows, runs in used.runs.items()} == {6: 1, 9: 1}
    assert used.runs[6].infer_s == pytest.approx(0.002)
    assert read(recorder.snapshot()).usage == {V1: used}
    recorder.batch_seen(seen(OTHER))
    for model, versions in (("m", {V1}), ("other", {OTHER}), ("", {V1, OTHER})):
        told = load_usage(json.loads(json.dumps(list(recorder.dumped_usage(model)))))
        assert told == {key: recorder.usage()[key] for key in versions}


def test_usage_travels_when_it_has_changed_and_ends_with_its_version() -> None:
    recorder = Recorder()
    recorder.serve([V1, V2])
    recorder.batch_seen(seen())
    recorder.batch_seen(seen(V2))
    assert set(read(recorder.snapshot()).usage) == {V1, V2}
    recorder.failed(V2, 0.1, 1, "not_ready")
    assert set(read(recorder.snapshot()).usage) == {V2}
    recorder.serve([V2])
    assert set(recorder.usage()) == {V2}


def test_of_each_bucket_the_last_request_that_can_be_looked_at_is_told_once() -> None:
    recorder = Recorder()
    for total_s, trace_id in ((0.0015, "a"), (0.0016, "b"), (0.3, "c")):
        recorder.exemplar(V1, "stable", total_s, trace_id, 1_700_000_000.0)
    total = Series("sluice_stage_seconds", ("total", *STABLE))
    assert read(recorder.snapshot()).exemplars == {
        total: {7: Exemplar("b", 0.0016, 1_700_000_000.0), 14: Exemplar("c", 0.3, 1_700_000_000.0)}
    }
    assert SECONDS[6] < 0.0016 <= SECONDS[7]
    assert not read(recorder.snapshot()).exemplars
