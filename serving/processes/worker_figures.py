"""Tells what a worker is held against: the latency that models promise, the replicas that pools should have, memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from serving.config.settings import Settings
from serving.request_path.variants import Variant
from serving.telemetry.buckets import SECONDS
from serving.telemetry.catalogue import LATENCY_GOAL, MEMORY_LIMIT, MEMORY_USED, POOL_MIN_REPLICAS, WORKER_MEMORY
from serving.telemetry.memory import Memory
from serving.telemetry.recorder import Recorder

# Below it Python and Prometheus write a bound differently, and rules compare what is written.
_FINEST = SECONDS.index(1e-4)


class WorkerFigures:
    """Asked once a second."""

    def __init__(self, settings: Settings, memory: Memory | None = None) -> None:
        self._settings = settings
        self._memory = memory or Memory()

    def tell(self, recorder: Recorder, variants: Iterable[Variant]) -> None:
        """Goals and memory, for the next snapshot; where versions of a model differ in their goal, the largest."""
        goals: dict[str, int] = {}
        for variant in variants:
            model = variant.key.model
            goals[model] = max(goals.get(model, 0), variant.served.latency_slo_us)
        for model, goal_us in goals.items():
            if goal_us:
                recorder.measured(LATENCY_GOAL, (model,), bound_of(goal_us / 1e6))
        recorder.measured(WORKER_MEMORY, (), self._memory.own_bytes())
        used, limit = self._memory.room()
        recorder.measured(MEMORY_USED, (), used)
        recorder.measured(MEMORY_LIMIT, (), limit)

    def tell_least(self, recorder: Recorder, pool: str) -> None:
        """How many replicas a pool should have at least."""
        recorder.measured(POOL_MIN_REPLICAS, (pool,), self._settings.pool(pool).min_replicas)


def bound_of(seconds: float) -> float:
    """The bound of a bucket that is at least as much; the last one where none is."""
    return SECONDS[min(max(bisect_left(SECONDS, seconds), _FINEST), len(SECONDS) - 1)]
