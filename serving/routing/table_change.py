"""What loading and unloading a version makes of the routing table: judged here, before anything is carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from serving.errors import BadRequest, InUse, UnknownModel
from serving.routing.split import STABLE
from serving.routing.table import WHOLE_BP, Route, RouteTable, Served, Split, Trial


def with_version(table: RouteTable, alone: Route, version: int) -> RouteTable:
    """The version can be asked for; nobody who is asked now gets less, and a model that is there keeps its split.

    `alone` is the model's route if this version were its only one. The same table where the version is in it already.
    """
    route = table.routes.get(alone.model)
    if route is None:
        return _changed(table, {**table.routes, alone.model: alone})
    if any(served.version == version for served in route.served):
        return table
    added = [served for served in alone.served if served.version == version]
    served = tuple(sorted((*route.served, *added), key=lambda one: one.version))
    return _changed(table, {**table.routes, route.model: replace(route, served=served)})


def with_limits(table: RouteTable, model: str, limits: Mapping[str, int]) -> RouteTable:
    """Other limits for every version of a model that is served; the same table where nothing changes.

    Raises:
        UnknownModel: the table does not have it.
        BadRequest: limits that contradict each other.
    """
    route = table.routes.get(model)
    if route is None:
        raise UnknownModel(f"there is no model {model!r}; known are {sorted(table.routes)}")
    changed = replace(route, served=tuple(_limited(served, limits) for served in route.served))
    return table if changed == route else _changed(table, {**table.routes, model: changed})


def _limited(served: Served, limits: Mapping[str, int]) -> Served:
    # mypy cannot know that every limit is a whole number.
    changed = replace(served, **limits)  # type: ignore[arg-type]
    if changed.queue_rows < changed.max_rows:
        raise BadRequest(
            f"a batch of {changed.max_rows} rows is more than the queue of {changed.queue_rows} ever holds"
        )
    if changed.default_priority > changed.priority_levels:
        raise BadRequest(
            f"the default priority {changed.default_priority} is none of {changed.priority_levels} priority levels"
        )
    return changed


def with_split(table: RouteTable, model: str, splits: Sequence[Split], trial: Trial | None, salt: str) -> RouteTable:
    """Other shares for versions that are served, and what is counted of them; the same table where nothing changes.

    The trial's generation is the epoch of the table with which its step or weight changed.

    Raises:
        UnknownModel: the table has no such model, or no such version of it.
        BadRequest: shares that do not add up.
    """
    route = table.routes.get(model)
    if route is None:
        raise UnknownModel(f"there is no model {model!r}; known are {sorted(table.routes)}")
    numbers = [served.version for served in route.served]
    unknown = [split.version for split in splits if split.version not in numbers]
    if unknown:
        raise UnknownModel(f"model {model!r} has no version {unknown[0]} that is served; known are {numbers}")
    total = sum(split.weight_bp for split in splits)
    if total != WHOLE_BP or any(split.weight_bp < 0 for split in splits):
        raise BadRequest(f"the shares of {model!r} add up to {total} basis points, not {WHOLE_BP}")
    epoch = table.epoch + 1
    changed = replace(route, splits=tuple(splits), salt=salt, trial=_dated(route.trial, trial, epoch))
    return table if changed == route else RouteTable(epoch, {**table.routes, model: changed})


def with_pools(table: RouteTable, model: str, pools: Mapping[int, str]) -> RouteTable:
    """Versions of a model asked for in other pools; the same table where nothing changes, or there is no such model."""
    route = table.routes.get(model)
    if route is None:
        return table
    served = tuple(replace(one, pool=pools.get(one.version, one.pool)) for one in route.served)
    return table if served == route.served else _changed(table, {**table.routes, model: replace(route, served=served)})


def _dated(before: Trial | None, trial: Trial | None, epoch: int) -> Trial | None:
    if trial is None:
        return None
    if before is not None and _under(before) == _under(trial):
        return replace(trial, generation=before.generation)
    return replace(trial, generation=epoch)


def _under(trial: Trial) -> tuple[str, int, int]:
    return trial.rollout, trial.step, trial.weight_bp


def without_version(table: RouteTable, model: str, version: int | None, *, force: bool = False) -> RouteTable:
    """The version, or with None the whole model, is asked for no more.

    Raises:
        UnknownModel: the table does not have it.
        InUse: requests would have nothing. `force` ends a trial, whose share goes back to stable, or takes the model's
            last version and with it the model; never the version that answers beside others, nor the last model.
    """
    route = table.routes.get(model)
    if route is None:
        raise UnknownModel(f"there is no model {model!r}; known are {sorted(table.routes)}")
    numbers = [served.version for served in route.served]
    if version is not None and version not in numbers:
        raise UnknownModel(f"model {model!r} has no version {version}; known are {numbers}")
    if version is None or numbers == [version]:
        return _without_model(table, route, force=force)
    splits = _splits_without(route, version, force=force)
    kept = replace(
        route,
        splits=splits,
        # Nothing is compared where one version is left.
        trial=route.trial if splits == route.splits else None,
        served=tuple(served for served in route.served if served.version != version),
    )
    return _changed(table, {**table.routes, model: kept})


def _without_model(table: RouteTable, route: Route, *, force: bool) -> RouteTable:
    if not force:
        numbers = ", ".join(str(served.version) for served in route.served)
        raise InUse(
            f"model {route.model!r} would be served no more (versions {numbers}); unload it with force if that is meant"
        )
    if len(table.routes) == 1:
        raise InUse(f"model {route.model!r} is the last one of this session; stop the session instead")
    return _changed(table, {name: other for name, other in table.routes.items() if name != route.model})


def _splits_without(route: Route, version: int, *, force: bool) -> tuple[Split, ...]:
    mine = [split for split in route.splits if split.version == version]
    if not mine:
        return route.splits
    if any(split.variant == STABLE for split in mine) or len(mine) == len(route.splits):
        others = [served.version for served in route.served if served.version != version]
        raise InUse(
            f"version {version} of model {route.model!r} answers every request that names no version; "
            f"unload another one ({', '.join(map(str, others))}), or the whole model"
        )
    if not force:
        raise InUse(f"version {version} of model {route.model!r} is under trial; end the trial, or unload with force")
    freed = sum(split.weight_bp for split in mine)
    return tuple(
        replace(split, weight_bp=split.weight_bp + freed) if split.variant == STABLE else split
        for split in route.splits
        if split.version != version
    )


def _changed(table: RouteTable, routes: Mapping[str, Route]) -> RouteTable:
    return RouteTable(table.epoch + 1, dict(routes))
