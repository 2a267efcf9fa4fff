"""Where a rollout's canary runs: in replicas of its own wherever there are replicas, else beside the stable version."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from serving.config.placement import canary_pool, pool_of
from serving.config.serving_models import GATEWAY
from serving.config.settings import Settings
from serving.inference import VersionKey
from serving.processes.session_plan import ServedModel


@dataclass(frozen=True, slots=True)
class Own:
    """Replicas of a canary's own, up to `most` where that is more than `replicas`, and what each asks for."""

    replicas: int
    most: int
    cpus: float
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Place:
    """`own` is None where the canary gets no replicas of its own; `pool` is where it runs, `says` tells people so."""

    pool: str
    says: str
    own: Own | None = None


def place_of(settings: Settings, model: str, stable: int, canary: int, wish: Mapping[str, Any]) -> Place:
    """Where a canary runs; `wish` is the plan's `isolation` and its largest weight, in basis points."""
    pool, beside = pool_of(settings, model, canary), pool_of(settings, model, stable)
    if pool == GATEWAY:
        return Place(pool, "in the gateway's workers, beside the stable version: there are no replicas")
    if pool != beside:
        return Place(pool, f"in pool {pool}, as the configuration says; the stable version runs in pool {beside}")
    if settings.engine.kind == "external":
        return Place(pool, f"in pool {pool}, beside the stable version: others run its replicas")
    if wish["shared"]:
        return Place(pool, f"in pool {pool}, in the same replicas as the stable version (isolation: shared)")
    own = _own(settings, pool, wish)
    count = f"{own.replicas} to {own.most} replicas" if own.most > own.replicas else f"{own.replicas} replicas"
    name = canary_pool(model)
    return Place(name, f"in pool {name}, {'1 replica' if own.most == 1 else count} of its own", own)


def _own(settings: Settings, pool: str, wish: Mapping[str, Any]) -> Own:
    """As the plan says, else as the pool beside it, and as many as the canary's largest share of requests needs."""
    section = settings.pool(pool)
    share = wish["most_bp"] / 10_000
    fewest, most = (math.ceil(count * share) for count in (section.min_replicas, section.max_replicas))
    replicas = wish["replicas"] or fewest
    return Own(
        replicas=replicas,
        most=replicas if wish["replicas"] else most,
        cpus=wish["cpus"] or section.num_cpus,
        memory_mb=wish["memory_mb"] or section.memory_mb,
    )


Models = Mapping[VersionKey, ServedModel]


def with_own(models: Models, key: VersionKey, own: Own) -> dict[VersionKey, ServedModel]:
    """Those with replicas of its own for one version, and for no other one of its model."""
    mine = replace(
        models[key],
        own_replicas=own.replicas,
        own_most=own.most,
        own_cpus=own.cpus,
        own_memory_mb=own.memory_mb,
    )
    return {**without_own(models, key.model), key: mine}


def without_own(models: Models, model: str) -> dict[VersionKey, ServedModel]:
    """Those with no replicas of a canary's own for a model."""
    return {key: _plain(served) if key.model == model else served for key, served in models.items()}


def own_versions(models: Models, model: str) -> list[VersionKey]:
    """Versions of a model that have replicas of their own."""
    return [key for key, served in models.items() if key.model == model and served.own_replicas]


def _plain(served: ServedModel) -> ServedModel:
    return ServedModel(served.model, served.version, served.path, served.default)
