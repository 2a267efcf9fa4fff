"""`pool/scaling` as a policy of Ray Serve's autoscaling, which runs in Serve's controller.

Serve carries this module there by value: whatever it imports from is imported there by name, nothing of Ray at the top.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from serving.pool.replica_load import ReplicaLoad, load_of
from serving.pool.scaling import Bounds, Called, Decision, Seen, decide

log = logging.getLogger("ray.serve")

NAMESPACE = "sluice"
# A replica reports every second; one that has said nothing new for so long is not known any more.
_STALE_S = 5.0


class Point(Protocol):
    """One value of one replica, as Serve keeps them in series."""

    timestamp: float
    value: float


class Context(Protocol):
    """What is used of Serve's `AutoscalingContext`."""

    target_num_replicas: int
    running_replicas: list[Any]

    @property
    def raw_metrics(self) -> Mapping[str, Mapping[Any, Sequence[Point]]]:
        """By name and replica, the last point last."""


Note = Callable[[str, str], None]


def scaling_key(pool: str) -> str:
    """Where the last decision about a pool stands in Ray's own store."""
    return f"scaling:{pool}"


class ScalingPolicy:
    """One pool's: called ten times a second with all that replicas reported; keeps its own, monotonic time."""

    def __init__(
        self,
        pool: str,
        bounds: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
        note: Note | None = None,
    ) -> None:
        self._pool = pool
        # Serve passes plain values.
        self._bounds = Bounds(**bounds)
        self._clock = clock
        self._note = note or _note
        self._called = Called()
        # When the last report of each replica came, by our clock, and the stamp that it bore, by the replica's.
        self._heard: dict[Any, tuple[float, float]] = {}
        self._noted = 0

    def __call__(self, context: Context) -> tuple[int, dict[str, Any]]:
        """The number of replicas from now on."""
        wished, running = context.target_num_replicas, context.running_replicas
        now = self._clock()
        seen = Seen(wished, len(running), self._loads(context, now))
        decision = decide(seen, self._called, now, self._bounds)
        self._called = decision.called
        if decision.wished != self._noted:
            self._tell(wished, decision)
        return decision.wished, {}

    def _loads(self, context: Context, now: float) -> list[ReplicaLoad]:
        reported: dict[Any, dict[str, float]] = {}
        heard: dict[Any, tuple[float, float]] = {}
        for name, by_replica in context.raw_metrics.items():
            for replica, series in by_replica.items():
                if not series:
                    continue
                before = self._heard.get(replica)
                stamp = series[-1].timestamp
                # Its stamps are compared with each other only for being equal: clocks may step.
                heard[replica] = before if before is not None and before[1] == stamp else (now, stamp)
                reported.setdefault(replica, {})[name] = series[-1].value
        self._heard = heard
        fresh = (stats for replica, stats in reported.items() if now - heard[replica][0] <= _STALE_S)
        return [load for load in map(load_of, fresh) if load is not None]

    def _tell(self, before: int, decision: Decision) -> None:
        self._noted = decision.wished
        text = ""
        if decision.reason:
            text = f"pool {self._pool}: {before} -> {decision.wished} replicas: {decision.reason}"
            log.info(text)
        try:
            self._note(scaling_key(self._pool), json.dumps({"wished": decision.wished, "text": text}))
        except Exception as error:  # noqa: BLE001 - Ray raises what it likes, and a decision holds without being told
            log.warning("the decision about pool %s could not be noted: %s", self._pool, error)


def _note(key: str, value: str) -> None:
    # Serve gives a policy no way to say why; the engine reads it there.
    from ray.experimental.internal_kv import _internal_kv_put  # noqa: PLC0415 - see above

    _internal_kv_put(key, value, namespace=NAMESPACE)
