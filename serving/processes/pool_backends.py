"""What a gateway worker asks for each pool: itself, replicas over the tensor stream, or Ray Serve's handle."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from serving.backends.backend import Backend
from serving.backends.in_flight import InFlight
from serving.backends.in_process import InProcess
from serving.backends.pool_client import PoolClient
from serving.backends.pool_options import PoolOptions
from serving.config.serving_models import GATEWAY
from serving.config.settings import Settings
from serving.errors import ModelUnservable
from serving.processes.handle_pool import HandlePool
from serving.processes.joined_cluster import JoinedCluster
from serving.processes.model_sources import model_sources
from serving.processes.start_message import StartMessage
from serving.routing.table import RouteTable

if TYPE_CHECKING:
    from serving.state.members import Members


class PoolBackends:
    """`members` is None where there is no control state, and then no pool either."""

    def __init__(self, start: StartMessage, settings: Settings, members: Members | None) -> None:
        self._start = start
        self._settings = settings
        self._members = members
        self._cluster = JoinedCluster(Path(start.run_dir))

    def backend(self, pool: str) -> Backend:
        """One that is not started yet, also for a pool that nothing was placed in when the session began.

        Raises:
            ModelUnservable: there is no control state to follow the pool's members by.
        """
        if pool == GATEWAY:
            sources = model_sources(self._settings, self._start.models, GATEWAY)
            return InProcess(sources, in_flight=InFlight(self._start.in_flight_file))
        section = self._settings.pool(pool)
        if section.transport == "serve_handle":
            return HandlePool(pool, self._cluster, section.fixed_slots or 1)
        if self._members is None:
            raise ModelUnservable(f"pool {pool!r} needs a control state; name one with state.control_url")
        options = PoolOptions(runs_per_replica=section.fixed_slots, hedge_share=section.hedge_percent / 100)
        return PoolClient(pool, self._members.pool(pool), self._start.secret.encode(), options)


def pools_of(table: RouteTable) -> Iterable[str]:
    """Every pool that a route leads to, by name."""
    return sorted({served.pool for route in table.routes.values() for served in route.served})
