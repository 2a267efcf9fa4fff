"""What decides how many replicas there are is changed while they serve."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.integration.ray.client import doubled, pool_client
from tests.integration.ray.conftest import Cluster

# Serve warns whoever asks for its state of an option for which it has no other way yet (see `pool/replica`).
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:The `metrics_interval_s`:DeprecationWarning")]


async def test_a_pool_begins_and_ends_to_follow_the_load_without_a_replica_being_replaced(driver: Cluster) -> None:
    from serving.processes import ray_pools

    fixed = driver.pools["trial"]
    async with pool_client(driver, "trial") as client:
        before = sorted(driver.engine.replicas("trial"))
        assert len(before) == 1
        try:
            for pool in (replace(fixed, most_replicas=3), replace(fixed, most_replicas=4, scale_up_delay_s=1.0)):
                await asyncio.to_thread(ray_pools.change, [pool])
                assert await doubled(client, 4.0) == [8.0]
                assert sorted(driver.engine.replicas("trial")) == before
        finally:
            await asyncio.to_thread(ray_pools.change, [fixed])
        assert await doubled(client, 4.0) == [8.0]
        assert sorted(driver.engine.replicas("trial")) == before
