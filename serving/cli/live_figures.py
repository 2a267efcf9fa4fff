"""Figures of the last moments, read off two scrapes of `/metrics`: requests a second, p50 and p99, by version."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

_LINE = re.compile(r"^(\w+)\{(.*)\} (\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_STAGE = "sluice_stage_seconds_bucket"
_TIMEOUT_S = 5.0

# Version to upper bound in seconds to how many requests took at most that long since the start.
Buckets = Mapping[str, Mapping[float, float]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one version, between two scrapes; percentiles are interpolated in a bucket, None when nothing was asked."""

    version: str
    requests_s: float
    p50_ms: float | None
    p99_ms: float | None


def scrape(url: str) -> Buckets:
    """The total time of requests by version.

    Raises:
        OSError: nothing answers there.
    """
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - an address of our own
        return parse(response.read().decode())


def parse(exposition: str) -> Buckets:
    """The same from the text of a scrape."""
    found: dict[str, dict[float, float]] = {}
    for name, labels, value in _LINE.findall(exposition):
        if name != _STAGE:
            continue
        known = dict(_LABEL.findall(labels))
        if known.get("stage") == "total":
            buckets = found.setdefault(known.get("version", ""), {})
            bound = float(known["le"])
            buckets[bound] = buckets.get(bound, 0) + float(value)
    return found


def between(before: Buckets, after: Buckets, seconds: float) -> list[Figures]:
    """What happened between two scrapes, one entry per version that was asked."""
    figures = []
    for version, buckets in sorted(after.items()):
        earlier = before.get(version, {})
        counts = {bound: count - earlier.get(bound, 0) for bound, count in sorted(buckets.items())}
        asked = max(counts.values(), default=0)
        if asked > 0:
            p50, p99 = percentile(counts, 0.5), percentile(counts, 0.99)
            figures.append(Figures(version, asked / seconds, p50, p99))
    return figures


def percentile(counts: Mapping[float, float], share: float) -> float | None:
    """In milliseconds, from cumulative counts by ascending upper bound in seconds."""
    wanted = share * max(counts.values(), default=0)
    low, below = 0.0, 0.0
    for bound, count in counts.items():
        if count >= wanted and count > below:
            if bound == float("inf"):
                return low * 1000
            return (low + (bound - low) * (wanted - below) / (count - below)) * 1000
        low, below = bound, count
    return None
