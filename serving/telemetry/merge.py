"""Several workers' counts as one: sums that never fall when a worker ends, without series of versions that are gone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from serving.inference import VersionKey
from serving.telemetry.catalogue import CATALOGUE
from serving.telemetry.snapshot import Distribution, Exemplar, Series, Snapshot
from serving.telemetry.usage import Usage, by_version


def merged(retired: Snapshot, workers: Iterable[Snapshot], also: Snapshot) -> Snapshot:
    """What one scrape shows: `retired` of workers that ended, the living ones, and the supervisor's own in `also`."""
    living = list(workers)
    versions = _served(living)
    parts = [retired, *living]
    return Snapshot(
        {s: d for s, d in _histograms(parts).items() if _kept(s, versions)},
        {s: v for s, v in _counters([*parts, also]).items() if _kept(s, versions)},
        _gauges([*living, also]),
        versions,
        _used(by_version(part.usage for part in parts), versions),
        {s: e for s, e in _exemplars(living).items() if _kept(s, versions)},
    )


def of_model(snapshot: Snapshot, model: str, metrics: Collection[str]) -> Snapshot:
    """A model's histograms and counters of these metrics, and nothing else: little of what a thousand models have."""
    places = {name: CATALOGUE[name].labels.index("model") for name in metrics}

    def wanted(series: Series) -> bool:
        place = places.get(series.metric)
        return place is not None and series.labels[place] == model

    return Snapshot(
        {series: one for series, one in snapshot.histograms.items() if wanted(series)},
        {series: one for series, one in snapshot.counters.items() if wanted(series)},
    )


def updated(before: Snapshot, changes: Snapshot) -> Snapshot:
    """A worker's counts with those that changed in place of what they were."""
    histograms, counters = {**before.histograms, **changes.histograms}, {**before.counters, **changes.counters}
    usage = {**before.usage, **changes.usage}
    exemplars = _exemplars([before, changes])
    if changes.versions is None:
        return Snapshot(histograms, counters, changes.gauges, before.versions, usage, exemplars)
    return Snapshot(
        {s: d for s, d in histograms.items() if _kept(s, changes.versions)},
        {s: v for s, v in counters.items() if _kept(s, changes.versions)},
        changes.gauges,
        changes.versions,
        _used(usage, changes.versions),
        {s: e for s, e in exemplars.items() if _kept(s, changes.versions)},
    )


def retire(retired: Snapshot, ended: Snapshot) -> Snapshot:
    """The base that goes on counting for workers that ended; gauges end with the worker."""
    usage = by_version((retired.usage, ended.usage))
    return Snapshot(_histograms([retired, ended]), _counters([retired, ended]), usage=usage)


def pruned(retired: Snapshot, workers: Iterable[Snapshot]) -> Snapshot:
    """The base without versions that no living worker serves, so that it does not grow with every release."""
    versions = _served(workers)
    return Snapshot(
        {s: d for s, d in retired.histograms.items() if _kept(s, versions)},
        {s: v for s, v in retired.counters.items() if _kept(s, versions)},
        usage=_used(retired.usage, versions),
    )


def _used(usage: Mapping[VersionKey, Usage], versions: frozenset[VersionKey] | None) -> dict[VersionKey, Usage]:
    return {key: one for key, one in usage.items() if versions is None or key in versions}


def _served(workers: Iterable[Snapshot]) -> frozenset[VersionKey] | None:
    """What any living worker serves; None while none of them knows (just started, no table yet)."""
    return frozenset().union(*(worker.versions or () for worker in workers)) or None


def _kept(series: Series, versions: frozenset[VersionKey] | None) -> bool:
    if versions is None:
        return True
    labels = dict(zip(CATALOGUE[series.metric].labels, series.labels, strict=True))
    model, version = labels.get("model", ""), labels.get("version", "")
    if version:
        return VersionKey(model, int(version)) in versions
    return not model or any(key.model == model for key in versions)


def _histograms(parts: Iterable[Snapshot]) -> dict[Series, Distribution]:
    total: dict[Series, Distribution] = {}
    for part in parts:
        for series, one in part.histograms.items():
            before = total.get(series)
            total[series] = one if before is None else _sum(before, one)
    return total


def _sum(one: Distribution, other: Distribution) -> Distribution:
    counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
    return Distribution(counts, one.total + other.total)


def _counters(parts: Iterable[Snapshot]) -> dict[Series, float]:
    total: dict[Series, float] = {}
    for part in parts:
        for series, value in part.counters.items():
            total[series] = total.get(series, 0) + value
    return total


def _exemplars(parts: Iterable[Snapshot]) -> dict[Series, dict[int, Exemplar]]:
    """Of each bucket the latest."""
    found: dict[Series, dict[int, Exemplar]] = {}
    for part in parts:
        for series, places in part.exemplars.items():
            kept = found.setdefault(series, {})
            for place, one in places.items():
                if place not in kept or one.at_s >= kept[place].at_s:
                    kept[place] = one
    return found


def _gauges(parts: Iterable[Snapshot]) -> Mapping[Series, float]:
    values: dict[Series, list[float]] = {}
    for part in parts:
        for series, value in part.gauges.items():
            values.setdefault(series, []).append(value)
    return {series: _HOW[CATALOGUE[series.metric].merge](seen) for series, seen in values.items()}


_HOW: Mapping[str, Callable[[list[float]], float]] = {"sum": sum, "max": max, "min": min}
