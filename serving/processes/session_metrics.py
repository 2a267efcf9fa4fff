"""What a session shows to Prometheus: the workers' counts, and what only the supervisor knows."""

from __future__ import annotations

import platform
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from serving.batching.learned import Learned
from serving.processes.release import release
from serving.processes.session_parts import SessionParts
from serving.telemetry.catalogue import (
    BUILD_INFO,
    ENGINE_REPLICAS,
    ENGINE_REPLICAS_WISHED,
    READY,
    RESTARTS,
    RUN_FIXED_SECONDS,
    RUN_MARGIN,
    RUN_ROW_SECONDS,
    START_TIME,
    WORKERS,
)
from serving.telemetry.fleet_counts import FleetCounts
from serving.telemetry.metrics_server import MetricsServer
from serving.telemetry.snapshot import Series, Snapshot

_ESTIMATE = (RUN_FIXED_SECONDS, RUN_ROW_SECONDS, RUN_MARGIN)


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """`restarts` counts by part and reason (crash, roll), replicas there and `wished` by pool; `learned` of runs.

    `rollouts` are gauges as the control app told them.
    """

    ready: bool
    workers: int
    restarts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    replicas: Mapping[str, int] = field(default_factory=dict)
    wished: Mapping[str, int] = field(default_factory=dict)
    learned: Sequence[Learned] = ()
    rollouts: Mapping[Series, float] = field(default_factory=dict)


class SessionMetrics:
    """`facts` is asked for each page."""

    def __init__(self, counts: FleetCounts, facts: Callable[[], SessionFacts]) -> None:
        self._facts = facts
        self._counts = counts
        self._server: MetricsServer | None = None
        self._build = (release(), platform.python_version())
        self._started_at = time.time()

    async def start(self, sock: socket.socket) -> None:
        """Answer scrapes on a listening socket."""
        self._server = MetricsServer(sock, self.page)
        await self._server.start()

    async def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            await self._server.stop()

    def page(self) -> Snapshot:
        """Everything, merged."""
        return self._counts.merged(self._own(self._facts()))

    def _own(self, facts: SessionFacts) -> Snapshot:
        gauges: dict[Series, float] = {
            Series(BUILD_INFO.name, self._build): 1,
            Series(START_TIME.name, ()): self._started_at,
            Series(READY.name, ()): int(facts.ready),
            Series(WORKERS.name, ()): facts.workers,
            **facts.rollouts,
        }
        gauges |= {Series(ENGINE_REPLICAS.name, (pool,)): alive for pool, alive in facts.replicas.items()}
        gauges |= {Series(ENGINE_REPLICAS_WISHED.name, (pool,)): count for pool, count in facts.wished.items()}
        for one in facts.learned:
            of = one.key.model, str(one.key.version), one.place
            gauges |= {Series(spec.name, of): part for spec, part in zip(_ESTIMATE, one.estimate, strict=True)}
        return Snapshot(counters={Series(RESTARTS.name, of): n for of, n in facts.restarts.items()}, gauges=gauges)


def facts(parts: SessionParts, *, ready: bool) -> SessionFacts:
    """As they are now."""
    restarts = {("gateway", "crash"): parts.gateways.crashes, ("gateway", "roll"): parts.gateways.rolled}
    restarts |= {(valkey.part, "crash"): valkey.crashes for valkey in parts.valkeys}
    if parts.control is not None:
        restarts["control", "crash"] = parts.control.crashes
    seen = SessionFacts(
        ready, parts.gateways.alive(), restarts, learned=parts.learned.known(), rollouts=parts.rollouts.known()
    )
    if parts.engine is None:
        return seen
    restarts["engine", "crash"] = parts.engine.crashes
    return replace(seen, replicas=parts.engine.replicas, wished=parts.engine.wished)
