"""A pool that is reached over Ray's handle, before there is a cluster to join."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import NotReady
from serving.inference import Batch
from serving.processes.handle_pool import HandlePool
from serving.processes.joined_cluster import JoinedCluster
from serving.testing.backend import KEY


async def test_without_a_cluster_it_waits_in_the_background_and_says_not_ready(tmp_path: Path) -> None:
    pool = HandlePool("default", JoinedCluster(tmp_path), slots=1)
    await pool.start()
    assert (pool.hosted(), pool.refused(), pool.settled(), pool.slots(KEY)) == ({}, {}, False, 0)
    with pytest.raises(NotReady):
        await pool.run(Batch(KEY, (), 1, 0.0))
    await pool.stop()
