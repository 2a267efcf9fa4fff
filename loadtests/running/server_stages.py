"""Where the server spent its time, from its own metrics: sums and counts of each stage, before and after."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException

_LINE = re.compile(r'^sluice_stage_seconds_(sum|count)\{[^}]*stage="([^"]+)"[^}]*\} (\S+)', re.MULTILINE)
_TIMEOUT_S = 5.0
_MOST_BYTES = 64 * 1024 * 1024

# By stage: seconds, and how often.
Stages = Mapping[str, tuple[float, float]]


def scraped(url: str | None) -> Stages | None:
    """None where no address is known or nothing answers there: a report goes without."""
    if url is None:
        return None
    # Whatever is there instead of metrics, the figures of the load do not depend on it.
    wrong = (OSError, HTTPException, ValueError)
    with suppress(*wrong), urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - http, as the scenario is checked for
        return parsed(response.read(_MOST_BYTES).decode())
    return None


def parsed(exposition: str) -> Stages:
    """The same from the text of a scrape, over all models and versions."""
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    for kind, stage, value in _LINE.findall(exposition):
        into = sums if kind == "sum" else counts
        into[stage] = into.get(stage, 0.0) + float(value)
    return {stage: (sums.get(stage, 0.0), count) for stage, count in counts.items()}


def means_ms(before: Stages | None, after: Stages | None) -> dict[str, float]:
    """Mean milliseconds of each stage between two scrapes; empty where one is missing."""
    if before is None or after is None:
        return {}
    means = {}
    for stage, (seconds, count) in after.items():
        earlier_s, earlier = before.get(stage, (0.0, 0.0))
        if count > earlier:
            means[stage] = round((seconds - earlier_s) / (count - earlier) * 1e3, 4)
    return means
