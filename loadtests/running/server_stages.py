"""Where the server spent its time, and which rows it had near, from its own metrics before and after."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException

_LINE = re.compile(r'^sluice_stage_seconds_(sum|count)\{[^}]*stage="([^"]+)"[^}]*\} (\S+)', re.MULTILINE)
_NEAR = re.compile(r'^sluice_near_cache_look_ups_total\{[^}]*outcome="([^"]+)"[^}]*\} (\S+)', re.MULTILINE)
_TIMEOUT_S = 5.0
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Scrape:
    """Seconds and how often, by stage; rows looked up in the workers' near caches, by what was found."""

    stages: Mapping[str, tuple[float, float]]
    near: Mapping[str, float]


def scraped(url: str | None) -> Scrape | None:
    """None where no address is known or nothing answers there: a report goes without."""
    if url is None:
        return None
    # Whatever is there instead of metrics, the figures of the load do not depend on it.
    wrong = (OSError, HTTPException, ValueError)
    with suppress(*wrong), urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - http, as the scenario is checked for
        return parsed(response.read(_MOST_BYTES).decode())
    return None


def parsed(exposition: str) -> Scrape:
    """The same from the text of a scrape, over all models and versions."""
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    for kind, stage, value in _LINE.findall(exposition):
        into = sums if kind == "sum" else counts
        into[stage] = into.get(stage, 0.0) + float(value)
    near = {outcome: float(value) for outcome, value in _NEAR.findall(exposition)}
    return Scrape({stage: (sums.get(stage, 0.0), count) for stage, count in counts.items()}, near)


def near_look_ups(before: Scrape | None, after: Scrape | None) -> dict[str, int]:
    """Of the load, by outcome, most of all first; empty where no rows are kept near or a scrape is missing."""
    if before is None or after is None:
        return {}
    found = {outcome: round(value - before.near.get(outcome, 0.0)) for outcome, value in after.near.items()}
    return {outcome: count for outcome, count in sorted(found.items(), key=lambda one: -one[1]) if count > 0}


def means_ms(before: Scrape | None, after: Scrape | None) -> dict[str, float]:
    """Mean milliseconds of each stage between two scrapes; empty where one is missing."""
    if before is None or after is None:
        return {}
    means = {}
    for stage, (seconds, count) in after.stages.items():
        earlier_s, earlier = before.stages.get(stage, (0.0, 0.0))
        if count > earlier:
            means[stage] = round((seconds - earlier_s) / (count - earlier) * 1e3, 4)
    return means
