"""Whether a cluster has room for one more pool: pure arithmetic over what Ray says is free."""

from __future__ import annotations

from collections.abc import Mapping

from serving.errors import ModelUnservable
from serving.pool.pool_spec import PoolSpec

_MB = 1024 * 1024
REMEDY = "ask for less in the configuration of the pool and restart the session, or unload what else runs"


def without(free: Mapping[str, float], pool: PoolSpec, remedy: str = REMEDY) -> dict[str, float]:
    """What is free once the pool runs; `free` is processors and bytes by Ray's names, of the one machine.

    Raises:
        ModelUnservable: it does not fit; ends with the remedy.
    """
    cpus, memory_mb = pool.replicas * pool.num_cpus, pool.replicas * pool.memory_mb
    free_cpus, free_mb = free.get("CPU", 0.0), free.get("memory", 0.0) / _MB
    # Ray counts in ten thousandths.
    if cpus > free_cpus + 1e-4 or memory_mb > free_mb:
        raise ModelUnservable(
            f"there is no room for pool {pool.name!r}: beside all that runs it asks for {cpus:g} processors and "
            f"{memory_mb} MB, and the session's cluster has {free_cpus:g} and {free_mb:.0f} MB left; {remedy}"
        )
    return {**free, "CPU": free_cpus - cpus, "memory": (free_mb - memory_mb) * _MB}
