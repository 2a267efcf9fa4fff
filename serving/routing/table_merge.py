"""What another configuration makes of the routing table in force: its settings are followed, its splits are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from serving.routing.table import Route, RouteTable, Served


def merged(table: RouteTable, before: RouteTable, after: RouteTable) -> RouteTable:
    """The table, with what differs between two configurations' first tables; the same one where nothing does.

    Who answers which share stays, and so does all that was ordered since `before` and that both configurations say
    alike: limits, versions that were loaded, models and versions that were let go. A version that a split names stays.
    """
    routes = dict(table.routes)
    for model in sorted(before.routes.keys() | after.routes.keys()):
        route = _merged(table.routes.get(model), before.routes.get(model), after.routes.get(model))
        if route is None:
            routes.pop(model, None)
        else:
            routes[model] = route
    return table if routes == table.routes else RouteTable(table.epoch + 1, routes)


def objections(table: RouteTable, before: RouteTable, after: RouteTable) -> Iterator[str]:
    """Why these must not be merged now, a sentence each: what answers would be gone, or a trial's arms would change."""
    change = merged(table, before, after).routes
    for model, route in table.routes.items():
        if route.trial is not None and change.get(model) != route:
            yield f"model {model!r} is under rollout {route.trial.rollout}; wait for its end, or abort it"
        for version in sorted(_gone(before.routes.get(model), after.routes.get(model)) & _split(route)):
            yield (
                f"version {version} of model {model!r} answers requests, and is not among those that can be served; "
                "pin another one first"
            )


def _merged(now: Route | None, before: Route | None, after: Route | None) -> Route | None:
    if now is None:
        # What was there before was let go by an order, and is loaded by one.
        return after if before is None else None
    if after is None:
        return None if before is not None else now
    known = set() if before is None else _versions(before)
    gone = _gone(before, after) - _split(now)
    changes = _changes(before, after)
    kept = [_changed(served, changes) for served in now.served if served.version not in gone]
    added = [one for one in after.served if one.version not in known | _versions(now)]
    return replace(now, served=tuple(sorted((*kept, *added), key=lambda one: one.version)))


def _gone(before: Route | None, after: Route | None) -> set[int]:
    return set() if before is None or after is None else _versions(before) - _versions(after)


# Of a version: each field that is to change, with what it was and what it becomes.
_Changes = Mapping[int, Mapping[str, tuple[Any, Any]]]


def _changes(before: Route | None, after: Route) -> _Changes:
    earlier = {} if before is None else {one.version: asdict(one) for one in before.served}
    later = {one.version: asdict(one) for one in after.served}
    return {
        version: {name: (was, later[version][name]) for name, was in fields.items() if later[version][name] != was}
        for version, fields in earlier.items()
        if version in later
    }


def _changed(served: Served, changes: _Changes) -> Served:
    """Settings are a model's: a version that came later has the changes of any other one."""
    fields = changes.get(served.version) or next(iter(changes.values()), {})
    # In a pool of its own it is by a rollout's order, and goes home by one.
    wanted = {name: new for name, (old, new) in fields.items() if name != "pool" or served.pool == old}
    return replace(served, **wanted)


def _versions(route: Route) -> set[int]:
    return {served.version for served in route.served}


def _split(route: Route) -> set[int]:
    return {split.version for split in route.splits}
