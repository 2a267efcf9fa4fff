"""The engine process: ends all that it started, beside another cluster on the same machine."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.ray.client import pool_client, until
from tests.integration.ray.conftest import Cluster
from tests.integration.ray.engine import Engine
from tests.integration.standstill import stop

pytestmark = pytest.mark.slow


@pytest.fixture
def engine() -> Iterator[Engine]:
    folder = Path(tempfile.mkdtemp(prefix="sluice-"))
    started = Engine(folder, secrets.token_hex(8))
    yield started
    started.end_all()
    shutil.rmtree(folder, ignore_errors=True)


async def test_all_that_it_started_ends_with_it_and_other_clusters_live_on(cluster: Cluster, engine: Engine) -> None:
    engine.start([replace(cluster.pools["wide"], name="own", control_url="", socket_dir=str(engine.folder))])
    ready = engine.until("ready")
    assert ready["phases_s"]["total"] > 0
    assert ready["address"].startswith("127.0.0.1:")
    assert len(engine.replicas("own")) == 2
    assert engine.stop() == 0
    assert engine.until_gone() == {}
    assert list(engine.folder.glob("*.sock")) == []
    async with pool_client(cluster, "default"):
        assert cluster.engine.replicas("default")


async def test_it_stops_in_the_middle_of_its_start(engine: Engine, cluster: Cluster) -> None:
    engine.start([replace(cluster.pools["wide"], name="own", control_url="", socket_dir=str(engine.folder))])
    await until(lambda: any("raylet/raylet" in command for command in engine.processes().values()))
    assert engine.stop() == 0
    assert engine.until_gone() == {}


async def test_it_ends_at_once_when_a_part_of_the_head_is_lost(engine: Engine, cluster: Cluster) -> None:
    engine.start([replace(cluster.pools["wide"], name="own", control_url="", socket_dir=str(engine.folder))])
    await asyncio.to_thread(engine.until, "ready")
    (lost,) = [pid for pid, command in engine.processes().items() if "gcs/gcs_server" in command.split(" ")[0]]
    os.kill(lost, signal.SIGKILL)
    assert await asyncio.to_thread(engine.wait, 15) == 1


async def test_it_ends_without_its_head_also_while_nothing_answers(engine: Engine, cluster: Cluster) -> None:
    engine.start([replace(cluster.pools["wide"], name="own", control_url="", socket_dir=str(engine.folder))])
    await asyncio.to_thread(engine.until, "ready")
    processes = engine.processes().items()
    (controller,) = [pid for pid, command in processes if command.startswith("ray::ServeController")]
    (lost,) = [pid for pid, command in processes if "gcs/gcs_server" in command.split(" ")[0]]
    stop(controller)
    # More than one look at the replicas, which no longer ends.
    await asyncio.sleep(2.5)
    os.kill(lost, signal.SIGKILL)
    assert await asyncio.to_thread(engine.wait, 15) == 1
