"""What a session's repository shows: what is served, and what is in its folder and is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.inference import VersionKey
from serving.registry.repository import Listing
from serving.routing.table import RouteTable

Entry = tuple[str, str, str, str]


def index_of(table: RouteTable, described: Mapping[str, Any], listing: Listing | None) -> list[Entry]:
    """Model, version, state and reason; a folder that is no version at all is an entry without one."""
    served = {
        VersionKey(route.model, one.version): _served(VersionKey(route.model, one.version), described)
        for route in table.routes.values()
        for one in route.served
    }
    entries = [(key.model, str(key.version), *state) for key, state in sorted(served.items())]
    if listing is None:
        return entries
    entries += [
        (found.key.model, str(found.key.version), "UNAVAILABLE", "not loaded")
        for found in listing.versions
        if found.key not in served
    ]
    entries += [
        (problem.model, str(problem.version or ""), "UNAVAILABLE", problem.error.message)
        for problem in listing.problems
        if problem.version is None or VersionKey(problem.model, problem.version) not in served
    ]
    return sorted(entries, key=lambda entry: (entry[0], len(entry[1]), entry[1]))


def _served(key: VersionKey, described: Mapping[str, Any]) -> tuple[str, str]:
    if str(key) in described["hosted"]:
        return "READY", ""
    why = described["refused"].get(str(key))
    return ("UNAVAILABLE", why) if why else ("LOADING", "")
