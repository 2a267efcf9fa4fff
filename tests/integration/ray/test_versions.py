"""A pool is told to host other versions: the same replica goes on, and its replacement knows them."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from serving.inference import VersionKey
from serving.pool.pool_spec import PoolSpec
from serving.runtime.source import ModelSource
from serving.testing.models import doubler, save
from tests.integration.ray.client import REPLACED_S, doubled, pool_client, until
from tests.integration.ray.conftest import Cluster

pytestmark = pytest.mark.slow

LATER = VersionKey("later", 5)


def with_one_more(cluster: Cluster) -> PoolSpec:
    path = save(cluster.engine.folder / "models", LATER.model, LATER.version, doubler())
    pool = cluster.pools["trial"]
    return replace(pool, sources=(*pool.sources, ModelSource(LATER, path)))


async def test_versions_come_and_go_without_a_replica_being_replaced(driver: Cluster) -> None:
    from serving.processes import ray_pools

    async with pool_client(driver, "trial") as client:
        before = driver.engine.replicas("trial")
        await asyncio.to_thread(ray_pools.change, [with_one_more(driver)])
        await until(lambda: LATER in client.hosted())
        await asyncio.to_thread(ray_pools.change, [driver.pools["trial"]])
        await until(lambda: LATER not in client.hosted())
        assert await doubled(client, 4.0) == [8.0]
        assert driver.engine.replicas("trial") == before


async def test_a_replacement_hosts_what_was_loaded_since(driver: Cluster) -> None:
    from serving.processes import ray_pools

    async with pool_client(driver, "trial") as client:
        await asyncio.to_thread(ray_pools.change, [with_one_more(driver)])
        (before,) = driver.engine.replicas("trial")
        os.kill(before, signal.SIGKILL)
        await until(lambda: driver.engine.replicas("trial") not in ([], [before]), within_s=REPLACED_S)
        await until(lambda: LATER in client.hosted(), within_s=REPLACED_S)
        await asyncio.to_thread(ray_pools.change, [driver.pools["trial"]])
        await until(lambda: LATER not in client.hosted())
