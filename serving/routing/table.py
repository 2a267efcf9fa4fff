"""Which versions answer for which model: an immutable table, swapped whole, and its form in Redis and on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from serving.errors import ConfigInvalid

FORMAT = 1
WHOLE_BP = 10_000
# Of a trial: every key, whatever its hash.
ALL_KEYS = 1 << 32
# Classes by which runs of about equally many rows are compared: of 1, 2 to 3, 4 to 7, 8 to 15, 16 to 31, and more.
RUN_SIZES = 6
# What slows a process (a collection of garbage, a core that others use) slows its runs one after the other. Of an arm's
# runs that begin within such a turn the first alone is evidence: simulated stalls of 30 runs had 22 of 60 identical
# versions rolled back without turns, and none with these.
TURN_S = 0.5
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
class Shadow:
    """Copies of `share_bp` of the requests that stable answers go to `version`, which answers nobody.

    Scores, of the trial's output, are held against `threshold`, where there is one; the distance of both against
    `delta_edges`, which grow. `show_inputs` keeps the inputs of those that differ most.
    """

    version: int
    share_bp: int
    delta_edges: tuple[float, ...] = ()
    threshold: float | None = None
    show_inputs: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rollout has counted of a split: both arms alike, from `count_from_s` on (both times are since 1970).

    Slices of time begin at `began_s`; `generation` is the epoch of the table with which step or weight last changed.
    A `sticky` trial judges a key once; by what every key has it judges those alone whose own hash is below `key_sample`
    (of 2**32). Runs are held against `latency_bounds_us`, the score, element `score_index` of a row of `score_output`,
    against `score_edges`, and the whole time of a request against `goal_us` (0: nobody promises one).
    """

    rollout: str
    generation: int
    step: int
    weight_bp: int
    sticky: bool
    began_s: float
    count_from_s: float
    latency_bounds_us: tuple[int, ...] = ()
    score_output: str = ""
    score_index: int = 0
    score_edges: tuple[float, ...] = ()
    key_sample: int = ALL_KEYS
    goal_us: int = 0
    shadow: Shadow | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A model's split between variants; the salt is new for every rollout, so that nobody is always first."""

    model: str
    salt: str
    splits: tuple[Split, ...]
    served: tuple[Served, ...]
    trial: Trial | None = None


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
        "routes": [_as_json(route) for route in table.routes.values()],
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


def _as_json(route: Route) -> dict[str, Any]:
    entry = asdict(route)
    if route.trial is None:
        del entry["trial"]
    return entry


def _route(entry: dict[str, Any]) -> Route:
    splits = tuple(Split(s["variant"], int(s["version"]), int(s["weight_bp"])) for s in entry["splits"])
    served = tuple(_served(s) for s in entry["served"])
    trial = entry.get("trial")
    route = Route(str(entry["model"]), str(entry["salt"]), splits, served, None if trial is None else trial_of(trial))
    _check(route)
    return route


def trial_of(entry: Mapping[str, Any]) -> Trial:
    """A trial of its JSON form."""
    return Trial(
        rollout=str(entry["rollout"]),
        generation=int(entry["generation"]),
        step=int(entry["step"]),
        weight_bp=int(entry["weight_bp"]),
        sticky=bool(entry["sticky"]),
        began_s=float(entry["began_s"]),
        count_from_s=float(entry["count_from_s"]),
        latency_bounds_us=tuple(int(bound) for bound in entry["latency_bounds_us"]),
        score_output=str(entry["score_output"]),
        score_index=int(entry["score_index"]),
        score_edges=tuple(float(edge) for edge in entry["score_edges"]),
        key_sample=int(entry["key_sample"]),
        goal_us=int(entry.get("goal_us", 0)),
        shadow=_shadow(entry.get("shadow")),
    )


def _shadow(entry: Mapping[str, Any] | None) -> Shadow | None:
    if entry is None:
        return None
    threshold = entry["threshold"]
    return Shadow(
        version=int(entry["version"]),
        share_bp=int(entry["share_bp"]),
        delta_edges=tuple(float(edge) for edge in entry["delta_edges"]),
        threshold=None if threshold is None else float(threshold),
        show_inputs=bool(entry["show_inputs"]),
    )


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
