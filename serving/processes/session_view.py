"""What a session serves, as the control app tells it: the routing table, and what a gateway worker sees hosted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.inference import VersionKey
from serving.routing.table import Route, RouteTable, Served

Described = Mapping[str, Any]


def models_seen(table: RouteTable, described: Described) -> list[dict[str, Any]]:
    """Every model with its versions: which of them answers, where it runs, and whether it can."""
    return [
        {
            "name": route.model,
            "default": max(route.splits, key=lambda split: split.weight_bp).version,
            "versions": [_version(route, served, described) for served in route.served],
        }
        for _, route in sorted(table.routes.items())
    ]


def pools_seen(
    table: RouteTable, described: Described, alive: Mapping[str, int], wished: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Every pool: the versions routed to it, its replicas with the rows that they have not answered, and how many."""
    versions: dict[str, list[str]] = {name: [] for name in described["pools"]}
    for route in table.routes.values():
        for served in route.served:
            versions.setdefault(served.pool, []).append(str(VersionKey(route.model, served.version)))
    return [
        {
            "name": name,
            "versions": sorted(routed),
            "replicas": described["pools"].get(name, []),
            "alive": alive.get(name, 0),
            "wished": wished.get(name),
        }
        for name, routed in sorted(versions.items())
    ]


def _version(route: Route, served: Served, described: Described) -> dict[str, Any]:
    name = str(VersionKey(route.model, served.version))
    hosted = described["hosted"].get(name)
    why = described["refused"].get(name, "")
    return {
        "version": served.version,
        "pool": served.pool,
        "state": "ready" if hosted else "refused" if why else "waiting",
        "why": why,
        "variants": {split.variant: split.weight_bp / 100 for split in route.splits if split.version == served.version},
        **(hosted or {"batchable": False, "note": "", "inputs": [], "outputs": []}),
    }
