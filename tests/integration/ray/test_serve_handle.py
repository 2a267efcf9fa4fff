"""Batches over Ray Serve's own handle, from a process that joined the cluster as a driver."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from serving.errors import DeadlineExceeded, NotReady, ReplicaLost
from serving.inference import Batch, Stacked, VersionKey
from tests.integration.ray.client import batch, doubled, until
from tests.integration.ray.conftest import DOUBLER, Cluster
from tests.integration.ray.crashing import CRASH

if TYPE_CHECKING:
    from serving.backends.serve_handle import ServeHandle

pytestmark = pytest.mark.slow


@asynccontextmanager
async def handle(cluster: Cluster, pool: str) -> AsyncIterator[ServeHandle]:
    from serving.backends.serve_handle import HandleOptions, ServeHandle

    backend = ServeHandle(HandleOptions(f"pool-{pool}", address=cluster.address, look_s=0.2))
    await backend.start()
    try:
        await until(lambda: DOUBLER in backend.hosted())
        yield backend
    finally:
        await backend.stop()


async def test_batches_come_back_row_by_row(driver: Cluster) -> None:
    async with handle(driver, "default") as backend:
        assert await doubled(backend, 1.0, 2.0, 3.5) == [2.0, 4.0, 7.0]
        answers = await asyncio.gather(*(doubled(backend, float(n), n + 0.5) for n in range(20)))
        assert answers == [[2.0 * n, 2.0 * n + 1] for n in range(20)]


async def test_it_tells_what_is_hosted_and_what_was_refused(driver: Cluster) -> None:
    async with handle(driver, "default") as backend:
        assert set(backend.hosted()) == {DOUBLER, VersionKey("mlp", 1)}
        assert list(backend.refused()) == [VersionKey("broken", 1)]
        assert backend.settled()
        assert backend.slots(DOUBLER) == 2
        assert backend.slots(VersionKey("broken", 1)) == 0


async def test_a_batch_larger_than_rays_own_limit_of_4_mib_passes(driver: Cluster) -> None:
    rows = 500_000
    data = struct.pack("<f", 1.5) * 4 * rows
    large = Batch(DOUBLER, (Stacked("x", "FP32", (rows, 4), [data]),), rows, time.monotonic() + 30)
    async with handle(driver, "default") as backend:
        (tensor,) = (await backend.run(large)).tensors
        assert tensor.shape == (rows, 4)
        assert bytes(tensor.data) == struct.pack("<f", 3.0) * 4 * rows


async def test_what_is_not_hosted_and_what_is_too_late_is_refused_at_once(driver: Cluster) -> None:
    async with handle(driver, "default") as backend:
        unknown = batch(1.0)
        unknown.key = VersionKey("broken", 1)
        with pytest.raises(NotReady):
            await backend.run(unknown)
        with pytest.raises(DeadlineExceeded):
            await backend.run(batch(1.0, within_s=-1.0))


async def test_stopping_fails_what_runs_and_hosts_nothing(driver: Cluster) -> None:
    async with handle(driver, "default") as backend:
        running = asyncio.ensure_future(backend.run(batch(1.0)))
        await asyncio.sleep(0)
        await backend.stop()
        with pytest.raises(NotReady):
            await running
        assert backend.hosted() == {}


async def test_a_lost_replica_hangs_nobody_and_its_successor_is_found(driver: Cluster) -> None:
    async with handle(driver, "trial") as backend:
        # Ray mostly tells of the loss; when it does not, the batch's own time ends the call.
        with pytest.raises((ReplicaLost, DeadlineExceeded)):
            await backend.run(batch(CRASH, within_s=5.0))
        await until(lambda: DOUBLER in backend.hosted())
        async with asyncio.timeout(90):
            while True:
                try:
                    assert await doubled(backend, 4.0) == [8.0]
                    break
                except (ReplicaLost, NotReady, DeadlineExceeded):
                    await asyncio.sleep(0.1)
