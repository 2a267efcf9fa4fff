"""The merged counts as Prometheus reads them: OpenMetrics, or the older text format, as the scraper asks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Exemplar

from serving.telemetry import snapshot as telemetry
from serving.telemetry.buckets import ROWS, SECONDS, SLACK_SECONDS
from serving.telemetry.catalogue import BATCH_ROWS, BATCH_SLACK, CATALOGUE
from serving.telemetry.snapshot import Series, Snapshot

_BOUNDS = {BATCH_ROWS.name: ROWS, BATCH_SLACK.name: SLACK_SECONDS}


def rendered(snapshot: Snapshot, accept: str) -> tuple[bytes, str]:
    """The page and its content type."""
    encoder, content_type = choose_encoder(accept)
    return encoder(_Page(snapshot)), content_type


class _Page:
    """prometheus_client's encoders take a registry; one page needs no more of it than this."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Called once for each page."""
        return families(self._snapshot)


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """One family per metric that has a series, in the catalogue's order."""
    found = _histograms(snapshot) | _counters(snapshot) | _gauges(snapshot)
    return (found[name] for name in CATALOGUE if name in found)


def _histograms(snapshot: Snapshot) -> dict[str, Metric]:
    found: dict[str, HistogramMetricFamily] = {}
    for (name, labels), distribution in sorted(snapshot.histograms.items()):
        if name not in found:
            found[name] = HistogramMetricFamily(name, CATALOGUE[name].help, labels=CATALOGUE[name].labels)
        named = [*map(str, _BOUNDS.get(name, SECONDS)), "+Inf"]
        told = snapshot.exemplars.get(Series(name, labels), {})
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = [
            (bound, count, _exemplar(told[place])) if place in told else (bound, count)
            for place, (bound, count) in enumerate(zip(named, accumulate(distribution.counts), strict=True))
        ]
        # Where values can be negative a sum can fall: OpenMetrics knows none there, and the encoder leaves it out.
        found[name].add_metric(labels, buckets, sum_value=distribution.total)
    return dict(found)


def _exemplar(one: telemetry.Exemplar) -> Exemplar:
    """As OpenMetrics shows it; the older text leaves it out."""
    return Exemplar({"trace_id": one.trace_id}, one.value, one.at_s)


def _counters(snapshot: Snapshot) -> dict[str, Metric]:
    found: dict[str, CounterMetricFamily] = {}
    for (name, labels), value in sorted(snapshot.counters.items()):
        if name not in found:
            found[name] = CounterMetricFamily(name, CATALOGUE[name].help, labels=CATALOGUE[name].labels)
        found[name].add_metric(labels, value)
    return dict(found)


def _gauges(snapshot: Snapshot) -> dict[str, Metric]:
    found: dict[str, GaugeMetricFamily] = {}
    for (name, labels), value in sorted(snapshot.gauges.items()):
        if name not in found:
            found[name] = GaugeMetricFamily(name, CATALOGUE[name].help, labels=CATALOGUE[name].labels)
        found[name].add_metric(labels, value)
    return dict(found)
