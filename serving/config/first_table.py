"""The routing table that a session begins with: what the configuration says of the versions that can be served."""

from __future__ import annotations

from collections.abc import Iterable

from serving.config.placement import pool_of
from serving.config.serving_models import RoutesSection
from serving.config.settings import Settings
from serving.errors import ConfigInvalid
from serving.inference import VersionKey
from serving.routing.table import WHOLE_BP, Route, RouteTable, Served, Split


def first_table(settings: Settings, versions: Iterable[VersionKey], epoch: int = 1) -> RouteTable:
    """Every version that can be served, and for each model the one that answers by default.

    Raises:
        ConfigInvalid: the configuration names a model of which there is no version.
    """
    by_model: dict[str, set[int]] = {}
    for key in versions:
        by_model.setdefault(key.model, set()).add(key.version)
    absent = sorted(set(settings.models) - set(by_model))
    if absent:
        known = ", ".join(sorted(by_model)) or "none at all"
        raise ConfigInvalid(
            f"models.{absent[0]}: the repository has no version of it that can be served; it has {known}"
        )
    return RouteTable(epoch, {model: first_route(settings, model, found) for model, found in sorted(by_model.items())})


def default_version(settings: Settings, model: str, versions: Iterable[int]) -> int:
    """The version that answers when a request names none."""
    return settings.model(model).routes.stable or max(versions)


def first_route(settings: Settings, model: str, versions: set[int]) -> Route:
    """How a model is served where nobody has changed it since: the configuration's split, or the highest version."""
    stable = default_version(settings, model, versions)
    # A stable version that cannot be served stays named: its callers get 503, never the answers of another version.
    served = tuple(_served(settings, model, version) for version in sorted(versions | {stable}))
    routes = settings.model(model).routes
    if routes.canary not in versions:
        return Route(model, model, (Split("stable", stable, WHOLE_BP),), served)
    # A salt for each trial, so that not the same keys are first every time.
    return Route(model, f"{model}/{routes.canary}", _trial(routes, stable, routes.canary), served)


def _trial(routes: RoutesSection, stable: int, canary: int) -> tuple[Split, ...]:
    # Stays in the table at 0 percent: it can be asked for by its name.
    share_bp = round(routes.canary_percent * WHOLE_BP / 100)
    return (Split("stable", stable, WHOLE_BP - share_bp), Split("canary", canary, share_bp))


def _served(settings: Settings, model: str, version: int) -> Served:
    section = settings.model(model)
    batching = section.batching
    return Served(
        version=version,
        pool=pool_of(settings, model, version),
        deadline_ms=section.deadline_ms,
        max_rows=batching.max_rows if batching.enabled else 1,
        queue_rows=batching.queue_rows,
        queue_mb=batching.queue_mb,
        priority_levels=batching.priority_levels,
        default_priority=batching.default_priority,
        latency_slo_us=round((section.latency_slo_ms or 0) * 1000),
        max_wait_us=round(batching.max_wait_ms * 1000),
    )
