"""A pool that is reached over Ray Serve's own handle, from a worker that joins the cluster in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from serving.backends.backend import Changed
from serving.backends.waiting import WaitNotes
from serving.errors import NotReady
from serving.inference import Batch, Hosted, Outputs, VersionKey
from serving.processes.joined_cluster import JoinedCluster

if TYPE_CHECKING:
    from serving.backends.serve_handle import ServeHandle


class HandlePool:
    """A `Backend` that hosts nothing until the cluster is joined, and is Serve's handle from then on.

    `slots` is how many batches one replica runs at once; one more is kept on its way to it.
    """

    def __init__(self, pool: str, cluster: JoinedCluster, slots: int) -> None:
        self._pool = pool
        self._cluster = cluster
        self._slots = slots
        self._handle: ServeHandle | None = None
        self._callbacks: list[Changed] = []
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to wait for the cluster; returns at once."""
        self._cluster.start()
        self._opening = asyncio.get_running_loop().create_task(self._open(), name=f"pool {self._pool}")

    async def stop(self) -> None:
        """Leave the pool."""
        self._cluster.stop()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._handle is not None:
            await self._handle.stop()

    def hosted(self) -> Mapping[VersionKey, Hosted]:
        """See `Backend.hosted`."""
        return self._handle.hosted() if self._handle else {}

    def refused(self) -> Mapping[VersionKey, str]:
        """See `Backend.refused`."""
        return self._handle.refused() if self._handle else {}

    def settled(self) -> bool:
        """See `Backend.settled`."""
        return self._handle is not None and self._handle.settled()

    def on_change(self, callback: Changed) -> None:
        """Call `callback` when one of these may answer differently."""
        self._callbacks.append(callback)
        if self._handle is not None:
            self._handle.on_change(callback)

    def slots(self, key: VersionKey) -> int:
        """See `Backend.slots`."""
        return self._handle.slots(key) if self._handle else 0

    def servers(self, key: VersionKey) -> int:
        """See `Backend.servers`."""
        return self._handle.servers(key) if self._handle else 0

    def shared_slots(self) -> tuple[int, int] | None:
        """See `Backend.shared_slots`."""
        return self._handle.shared_slots() if self._handle else (0, 0)

    def beside(self) -> bool:
        """See `Backend.beside`."""
        return True

    def waits(self) -> WaitNotes | None:
        """See `Backend.waits`."""
        return None

    async def run(self, batch: Batch) -> Outputs:
        """See `Backend.run`."""
        if self._handle is None:
            raise NotReady(f"the gateway is not yet part of the cluster that hosts {batch.key}")
        return await self._handle.run(batch)

    async def _open(self) -> None:
        await self._cluster.joined()
        # Only now, since both import ray, which joining has loaded in a thread.
        from serving.backends.serve_handle import HandleOptions, ServeHandle  # noqa: PLC0415
        from serving.processes.ray_pools import app_name  # noqa: PLC0415

        handle = ServeHandle(HandleOptions(app_name(self._pool), slots_per_replica=self._slots + 1))
        for callback in self._callbacks:
            handle.on_change(callback)
        await handle.start()
        self._handle = handle
