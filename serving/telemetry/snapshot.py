"""Everything counted since the start of one worker, and how it travels to the supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from serving.inference import VersionKey
from serving.telemetry.usage import Usage, numbers_of, usage_of

FORMAT = 1


class Series(NamedTuple):
    """A metric's name and the values of its labels, in the catalogue's order."""

    metric: str
    labels: tuple[str, ...]


class Distribution(NamedTuple):
    """Counts per bucket (not cumulative; the last is for values above all bounds) and the sum of the values."""

    counts: tuple[int, ...]
    total: float


class Exemplar(NamedTuple):
    """A request that fell into a bucket: its trace, how long it took, when it was answered (seconds since 1970)."""

    trace_id: str
    value: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`versions` is what is served now, None where that is not known or not new; series of others need not be kept.

    `usage` is what each version did, for the statistics of the Open Inference Protocol; `exemplars` are the last
    requests of a histogram's buckets that can be looked at, by the bucket's place.
    """

    histograms: Mapping[Series, Distribution] = field(default_factory=dict)
    counters: Mapping[Series, float] = field(default_factory=dict)
    gauges: Mapping[Series, float] = field(default_factory=dict)
    versions: frozenset[VersionKey] | None = None
    usage: Mapping[VersionKey, Usage] = field(default_factory=dict)
    exemplars: Mapping[Series, Mapping[int, Exemplar]] = field(default_factory=dict)


def dump(snapshot: Snapshot) -> dict[str, Any]:
    """Lists of plain values: two thirds of the size of objects with names."""
    return {
        "format": FORMAT,
        "histograms": [[*series, *distribution] for series, distribution in snapshot.histograms.items()],
        "counters": [[*series, value] for series, value in snapshot.counters.items()],
        "gauges": [[*series, value] for series, value in snapshot.gauges.items()],
        "versions": None if snapshot.versions is None else [list(key) for key in snapshot.versions],
        "usage": dump_usage(snapshot.usage),
        "exemplars": [
            [*series, place, *one] for series, places in snapshot.exemplars.items() for place, one in places.items()
        ],
    }


def dump_usage(usage: Mapping[VersionKey, Usage]) -> list[Any]:
    """What `load_usage` reads."""
    return [[*key, numbers_of(one)] for key, one in usage.items()]


def load_usage(entries: list[Any]) -> dict[VersionKey, Usage]:
    """Usage by version, as another process told it."""
    return {VersionKey(model, version): usage_of(numbers) for model, version, numbers in entries}


def load(message: Mapping[str, Any]) -> Snapshot | None:
    """None for a format that this release does not know: a worker of another release counts differently."""
    if message.get("format") != FORMAT:
        return None
    versions = message["versions"]
    return Snapshot(
        {Series(name, tuple(labels)): Distribution(tuple(c), t) for name, labels, c, t in message["histograms"]},
        {Series(name, tuple(labels)): value for name, labels, value in message["counters"]},
        {Series(name, tuple(labels)): value for name, labels, value in message["gauges"]},
        None if versions is None else frozenset(VersionKey(model, version) for model, version in versions),
        load_usage(message.get("usage", [])),
        _exemplars(message.get("exemplars", [])),
    )


def _exemplars(entries: list[Any]) -> dict[Series, dict[int, Exemplar]]:
    found: dict[Series, dict[int, Exemplar]] = {}
    for name, labels, place, *one in entries:
        found.setdefault(Series(name, tuple(labels)), {})[place] = Exemplar(*one)
    return found
