"""From a session's configuration to what each pool is told to host."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from serving.config.placement import canary_pool, is_canary_pool, pool_of
from serving.config.serving_models import GATEWAY
from serving.config.settings import Settings
from serving.errors import BadRequest
from serving.pool.pool_spec import PoolSpec
from serving.processes.model_sources import model_sources, places
from serving.processes.pool_room import REMEDY
from serving.processes.session_plan import ServedModel
from serving.processes.start_message import StartMessage

_KEPT_IN = "pool-secret"


def engine_pools(start: StartMessage) -> tuple[PoolSpec, ...]:
    """Every pool of a session; the stream's secret goes into a file only we can read.

    Raises:
        ConfigInvalid: the configuration in the start message is none.
        ModelUnservable: a manifest was broken since the session began.
    """
    _keep(_secret(start), start.secret)
    return pools_at(_place(start), Settings.model_validate(start.config), start.models)


def later_cpus(start: StartMessage, running: Sequence[PoolSpec]) -> float:
    """Processors of the pools that do not run, and that a version which is loaded later may need.

    Those are the configured ones, `default`, and the trial pool of each version under trial that is not there yet.
    """
    settings = Settings.model_validate(start.config)
    trials = (pool_of(settings, name, one.routes.canary) for name, one in settings.models.items() if one.routes.canary)
    names = {*settings.pool_names(), *trials} - {GATEWAY} - {pool.name for pool in running}
    return sum(_most_cpus(settings, name) for name in names)


def canary_cpus(start: StartMessage) -> float:
    """Processors of a rollout's canary, as large as the largest pool may be."""
    settings = Settings.model_validate(start.config)
    return max(_most_cpus(settings, name) for name in settings.pool_names())


def _most_cpus(settings: Settings, pool: str) -> float:
    return settings.pool(pool).max_replicas * settings.pool(pool).num_cpus


def pools_at(place: PoolSpec, settings: Settings, models: Sequence[ServedModel]) -> tuple[PoolSpec, ...]:
    """Every pool that a version runs in, each as `place` with its own name, versions and size.

    A pool for versions under trial has the size of the pool that it stands beside.
    """
    names = sorted({name for served in models for name in places(settings, served)} - {GATEWAY})
    return tuple(_sized(_pool(name, place, settings, models), models) for name in names)


def changed_pools(
    running: Mapping[str, PoolSpec], start: StartMessage, models: Sequence[ServedModel]
) -> tuple[PoolSpec, ...]:
    """Pools that host something else with these versions, and those that do not run yet; one that hosts nothing stays.

    Raises:
        ModelUnservable: a manifest was broken meanwhile.
    """
    made = pools_at(_place(start), Settings.model_validate(start.config), models)
    wanted = {pool.name: replace(pool, restarts=_restarts(running.get(pool.name))) for pool in made}
    empty = (replace(pool, sources=()) for name, pool in running.items() if name not in wanted)
    return tuple(pool for pool in (*wanted.values(), *empty) if pool != running.get(pool.name))


def restarted(running: Mapping[str, PoolSpec], name: str) -> PoolSpec:
    """The pool with replicas that are all to be replaced.

    Raises:
        BadRequest: no such pool runs.
    """
    if name not in running:
        known = ", ".join(sorted(running)) or "none at all"
        raise BadRequest(f"no pool {name!r} runs in this session; there are {known}")
    return replace(running[name], restarts=_restarts(running[name]) + 1)


def _restarts(pool: PoolSpec | None) -> int:
    return 0 if pool is None else pool.restarts


def room_for(running: Mapping[str, PoolSpec], changed: Sequence[PoolSpec]) -> tuple[PoolSpec, ...]:
    """What must find room beside all that runs: a pool that is begun, and what one that runs asks for in addition."""
    return tuple(_addition(pool, running[pool.name]) if pool.name in running else pool for pool in changed)


def _addition(pool: PoolSpec, now: PoolSpec) -> PoolSpec:
    # A replica of another kind is started before one of those that run ends.
    least = pool if _alone(pool) != _alone(now) else replace(pool, num_cpus=0.0, memory_mb=0)
    cpus = pool.replicas * pool.num_cpus - now.replicas * now.num_cpus
    memory_mb = pool.replicas * pool.memory_mb - now.replicas * now.memory_mb
    return replace(pool, replicas=1, num_cpus=max(cpus, least.num_cpus), memory_mb=max(memory_mb, least.memory_mb))


def _alone(pool: PoolSpec) -> PoolSpec:
    """One replica of it, which need not be replaced where this is the same."""
    return replace(pool, sources=(), replicas=1, most_replicas=0, scale_up_delay_s=0.0, scale_down_delay_s=0.0)


def beside(running: Mapping[str, PoolSpec], changed: Sequence[PoolSpec]) -> tuple[PoolSpec, ...]:
    """The changed pools, each with what it hosts now as well."""
    return tuple(_with_held(pool, running[pool.name]) if pool.name in running else pool for pool in changed)


def _with_held(pool: PoolSpec, now: PoolSpec) -> PoolSpec:
    wanted = {source.key for source in pool.sources}
    return replace(pool, sources=(*pool.sources, *(held for held in now.sources if held.key not in wanted)))


def remedy(pool: PoolSpec, running: Sequence[PoolSpec]) -> str:
    """What to do where there is no room for a pool; of a canary's, which pools run and how it needs less."""
    if not is_canary_pool(pool.name):
        return REMEDY
    held = [f"{one.name} with {max(one.replicas, one.most_replicas) * one.num_cpus:g}" for one in running]
    return (
        f"what holds processors: {', '.join(held)}; end another rollout or have a pool take fewer, or say in the plan "
        "`isolation: {cpus: 0.1, memory_mb: 256}` for less, or `isolation: shared` for none: the canary then runs in "
        "the replicas of the stable version"
    )


def _sized(pool: PoolSpec, models: Sequence[ServedModel]) -> PoolSpec:
    """A canary's pool is as large as the rollout says."""
    if not is_canary_pool(pool.name):
        return pool
    (own,) = [served for served in models if served.own_replicas and canary_pool(served.model) == pool.name]
    return replace(
        pool,
        replicas=own.own_replicas,
        most_replicas=own.own_most,
        num_cpus=own.own_cpus,
        memory_mb=own.own_memory_mb,
    )


def _place(start: StartMessage) -> PoolSpec:
    return PoolSpec(
        name="",
        sources=(),
        control_url=start.control_url,
        socket_dir=start.run_dir,
        secret_path=str(_secret(start)),
        grace_s=start.grace_s,
    )


def _secret(start: StartMessage) -> Path:
    return Path(start.run_dir) / _KEPT_IN


def _pool(name: str, place: PoolSpec, settings: Settings, models: Sequence[ServedModel]) -> PoolSpec:
    section = settings.pool(name)
    return replace(
        place,
        name=name,
        sources=tuple(model_sources(settings, models, name)),
        replicas=section.min_replicas,
        most_replicas=section.max_replicas,
        scale_up_delay_s=section.scale_up_delay_s,
        scale_down_delay_s=section.scale_down_delay_s,
        num_cpus=section.num_cpus,
        memory_mb=section.memory_mb,
        slots=section.fixed_slots,
        look_us=section.look_us,
        # Replicas that nobody asks over the stream neither listen nor register.
        stream=place.stream and section.transport == "stream",
    )


def _keep(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
