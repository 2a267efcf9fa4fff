"""The page, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Timestamp

from serving.telemetry.buckets import SECONDS, SLACK_SECONDS
from serving.telemetry.catalogue import BATCH_SLACK, BUILD_INFO, CATALOGUE, READY, REQUESTS, STAGE_SECONDS
from serving.telemetry.exposition import rendered
from serving.telemetry.snapshot import Distribution, Exemplar, Series, Snapshot

COUNTS = tuple(range(len(SECONDS) + 1))
PAGE = Snapshot(
    {Series(STAGE_SECONDS.name, ("run", 'a"b\\c\n', "1", "stable")): Distribution(COUNTS, 12.5)},
    {Series(REQUESTS.name, ("m", "1", "stable", "ok")): 3},
    {Series(READY.name, ()): 1, Series(BUILD_INFO.name, ("1.0", "3.11")): 1},
)


def openmetrics(page: str) -> Iterable[Metric]:
    return openmetrics_parser.text_string_to_metric_families(page)  # type: ignore[no-untyped-call, no-any-return]


def plain(page: str) -> Iterable[Metric]:
    return text_string_to_metric_families(page)


def test_open_metrics_is_given_to_those_who_ask_for_it_and_parses() -> None:
    body, content_type = rendered(PAGE, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text")
    found = {family.name: family for family in openmetrics(body.decode())}
    assert set(found) == {"sluice_stage_seconds", "sluice_requests", "sluice_ready", "sluice_build_info"}
    assert found["sluice_stage_seconds"].samples[0].labels["model"] == 'a"b\\c\n'


def test_everybody_else_gets_the_older_text() -> None:
    body, content_type = rendered(PAGE, "")
    assert content_type.startswith("text/plain")
    assert {family.name for family in plain(body.decode())} == {
        "sluice_stage_seconds",
        "sluice_requests",
        "sluice_ready",
        "sluice_build_info",
    }


def test_buckets_are_cumulative_and_end_with_the_count() -> None:
    body, _ = rendered(PAGE, "application/openmetrics-text")
    (family,) = (family for family in openmetrics(body.decode()) if family.type == "histogram")
    buckets = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
    assert buckets == [sum(COUNTS[: n + 1]) for n in range(len(COUNTS))]
    (count,) = (sample.value for sample in family.samples if sample.name.endswith("_count"))
    assert count == sum(COUNTS)


def test_slack_below_nothing_is_a_histogram_without_a_sum() -> None:
    counts = tuple(range(len(SLACK_SECONDS) + 1))
    page = Snapshot({Series(BATCH_SLACK.name, ("m", "1", "stable")): Distribution(counts, -12.5)})
    (family,) = openmetrics(rendered(page, "application/openmetrics-text")[0].decode())
    late = {sample.labels["le"]: sample.value for sample in family.samples}["0.0"]
    assert late == sum(counts[:5])
    assert {sample.name for sample in family.samples} == {"sluice_batch_slack_seconds_bucket"}
    (older,) = plain(rendered(page, "")[0].decode())
    assert len(older.samples) == len(counts)


def test_every_metric_of_the_catalogue_can_be_rendered() -> None:
    values = {
        kind: {
            Series(spec.name, tuple("1" for _ in spec.labels)): 1.0 for spec in CATALOGUE.values() if spec.kind == kind
        }
        for kind in ("counter", "gauge")
    }
    body, _ = rendered(Snapshot({}, values["counter"], values["gauge"]), "application/openmetrics-text")
    listed = {name for name, spec in CATALOGUE.items() if spec.kind != "histogram"}
    assert {family.name for family in openmetrics(body.decode())} == {name.removesuffix("_total") for name in listed}


def test_a_bucket_names_a_request_that_can_be_looked_at_to_those_who_understand_it() -> None:
    (series,) = PAGE.histograms
    page = replace(
        PAGE, exemplars={series: {3: Exemplar("4bf92f3577b34da6a3ce929d0e0e4736", 0.00007, 1_700_000_000.5)}}
    )
    body, _ = rendered(page, "application/openmetrics-text")
    (family,) = [one for one in openmetrics(body.decode()) if one.name == "sluice_stage_seconds"]
    found = [sample for sample in family.samples if sample.exemplar is not None]
    assert [sample.labels["le"] for sample in found] == ["0.0001"]
    exemplar = found[0].exemplar
    assert exemplar is not None
    assert (exemplar.labels, exemplar.value) == ({"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}, 0.00007)
    assert exemplar.timestamp == Timestamp(1_700_000_000, 500_000_000)
    assert b"trace_id" not in rendered(page, "text/plain")[0]
