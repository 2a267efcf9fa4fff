"""Which versions answer for which model: an immutable table, swapped whole, and its form in Redis and on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from serving.errors import ConfigInvalid

FORMAT = 1
WHOLE_BP = 10_000
_MAY_BE_NONE = ("latency_slo_us", "max_wait_us")


@dataclass(frozen=True, slots=True)
class Split:
    """A variant's share of a model's traffic, in basis points."""

    variant: str
    version: int
    weight_bp: int


@dataclass(frozen=True, slots=True)
class Served:
    """A version that can be asked for by its path, with the limits that hold for it.

    `pool` is the name of a pool, or "gateway" for a version that runs inside the gateway process. `latency_slo_us` is 0
    where its owner promises no latency.
    """

    version: int
    pool: str
    deadline_ms: int = 1_000
    max_rows: int = 64
    queue_rows: int = 4_096
    queue_mb: int = 64
    priority_levels: int = 3
    default_priority: int = 2
    latency_slo_us: int = 0
    max_wait_us: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """A model's split between variants; the salt is new for every rollout, so that nobody is always first."""

    model: str
    salt: str
    splits: tuple[Split, ...]
    served: tuple[Served, ...]


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Every route there is; a table with a higher epoch replaces this one, never one with a lower epoch."""

    epoch: int
    routes: Mapping[str, Route]


EMPTY = RouteTable(0, {})


def dump(table: RouteTable) -> bytes:
    """The table as it is published and kept on disk: JSON that names its format."""
    document = {
        "format": FORMAT,
        "epoch": table.epoch,
        "routes": [asdict(route) for route in table.routes.values()],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def load(data: bytes | str) -> RouteTable:
    """Read a table that this release or the one before it wrote; unknown fields are left alone.

    Raises:
        ConfigInvalid: no table, another format, or splits that do not add up.
    """
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise ConfigInvalid(f"routing table of format {document['format']}; this gateway reads format {FORMAT}")
        routes = [_route(entry) for entry in document["routes"]]
        return RouteTable(int(document["epoch"]), {route.model: route for route in routes})
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigInvalid(f"no routing table: {error!r}") from error


def _route(entry: dict[str, Any]) -> Route:
    splits = tuple(Split(s["variant"], int(s["version"]), int(s["weight_bp"])) for s in entry["splits"])
    served = tuple(_served(s) for s in entry["served"])
    route = Route(str(entry["model"]), str(entry["salt"]), splits, served)
    _check(route)
    return route


def _served(entry: dict[str, Any]) -> Served:
    known = {name: entry[name] for name in Served.__slots__ if name in entry}
    for name, value in known.items():
        # Adopted, a limit that is none would end every worker now, and at each start from the table kept on disk.
        if name == "pool" and type(value) is str:
            continue
        least = 0 if name in _MAY_BE_NONE else 1
        if name == "pool" or type(value) is not int or value < least:
            raise ConfigInvalid(
                f"routing table with {name} {value!r}; a pool is a name, all else a number from {least}"
            )
    return Served(**known)


def _check(route: Route) -> None:
    total = sum(split.weight_bp for split in route.splits)
    if total != WHOLE_BP or any(split.weight_bp < 0 for split in route.splits):
        raise ConfigInvalid(f"the splits of {route.model!r} add up to {total} basis points, not {WHOLE_BP}")
    known = {served.version for served in route.served}
    unknown = [split.version for split in route.splits if split.version not in known]
    if unknown:
        raise ConfigInvalid(f"{route.model!r} splits traffic to versions {unknown} that it does not serve")
