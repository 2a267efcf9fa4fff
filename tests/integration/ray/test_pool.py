"""Pools on a real Ray cluster, spoken to as a gateway does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from serving.errors import ReplicaLost, ServingError
from serving.inference import VersionKey
from serving.state import keys
from tests.integration.ray.client import REPLACED_S, doubled, pool_client, until
from tests.integration.ray.conftest import DOUBLER, Cluster
from tests.integration.ray.crashing import CRASH, HANG

pytestmark = pytest.mark.slow


async def test_a_replica_answers_over_the_tensor_stream(cluster: Cluster) -> None:
    async with pool_client(cluster, "default") as client:
        assert await doubled(client, 1.0, 2.5, -3.0) == [2.0, 5.0, -6.0]


async def test_a_version_that_cannot_be_loaded_is_refused_with_a_text_and_the_others_are_served(
    cluster: Cluster,
) -> None:
    async with pool_client(cluster, "default") as client:
        assert set(client.hosted()) == {VersionKey("doubler", 1), VersionKey("mlp", 1)}
        assert "broken/1/model.onnx" in client.refused()[VersionKey("broken", 1)]


def test_every_process_of_the_cluster_carries_the_mark_and_runs_at_normal_priority(cluster: Cluster) -> None:
    commands = cluster.engine.processes()
    for part in ("gcs_server", "raylet/raylet", "ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::ServeController"):
        assert any(part in command for command in commands.values()), (part, commands)
    (replica,) = cluster.engine.replicas("default")
    assert os.getpriority(os.PRIO_PROCESS, replica) == 0


def test_parts_that_nothing_uses_are_not_started(cluster: Cluster) -> None:
    for part in ("dashboard/dashboard.py", "monitor.py", "log_monitor"):
        assert not any(part in command for command in cluster.engine.processes().values()), part


def test_the_secrets_stand_in_no_environment_and_no_command(cluster: Cluster) -> None:
    token = (cluster.engine.folder / "ray-token").read_bytes()
    for pid, command in cluster.engine.processes().items():
        assert token.decode() not in command
        # Some end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            assert token not in Path(f"/proc/{pid}/environ").read_bytes()


async def test_a_replica_that_is_killed_is_replaced_and_found_again(cluster: Cluster) -> None:
    async with pool_client(cluster, "trial") as client:
        (before,) = cluster.engine.replicas("trial")
        os.kill(before, signal.SIGKILL)
        await until(lambda: cluster.engine.replicas("trial") not in ([], [before]), within_s=REPLACED_S)
        await until(client.settled, within_s=REPLACED_S)
        assert await doubled(client, 4.0) == [8.0]


async def test_a_native_crash_loses_the_batch_and_the_pool_comes_back(cluster: Cluster) -> None:
    async with pool_client(cluster, "trial") as client:
        with pytest.raises(ReplicaLost):
            await doubled(client, CRASH)
        await until(client.settled, within_s=REPLACED_S)
        assert await doubled(client, 4.0) == [8.0]


async def test_a_replica_whose_run_hangs_is_replaced(cluster: Cluster) -> None:
    async with pool_client(cluster, "trial") as client:
        (before,) = cluster.engine.replicas("trial")
        hanging = asyncio.ensure_future(doubled(client, HANG))
        await until(lambda: before not in cluster.engine.replicas("trial"), within_s=REPLACED_S)
        with pytest.raises(ServingError):
            await hanging
        await until(client.settled, within_s=REPLACED_S)
        assert await doubled(client, 4.0) == [8.0]


Change = Callable[[], object]


def _members(cluster: Cluster, pool: str) -> set[str]:
    control = redis.Redis.from_url(cluster.control_url, decode_responses=True)
    return {str(field) for field in control.hkeys(keys.members(pool))}


def _said_goodbye(cluster: Cluster, pool: str, replica: str) -> bool:
    return bool(redis.Redis.from_url(cluster.control_url).exists(keys.tombstone(pool, replica)))


async def _answers_while(cluster: Cluster, pool: str, change: Change, over: Callable[[set[str]], bool]) -> None:
    async with pool_client(cluster, pool) as client:
        await until(lambda: len(client.replicas()) == len(_members(cluster, pool)))
        changing = asyncio.ensure_future(asyncio.to_thread(change))

        async def ask(number: float) -> int:
            answered = 0
            while True:
                members = _members(cluster, pool)
                assert members, "nobody is in the pool"
                if changing.done() and over(members):
                    return answered
                # A gateway sends nothing before it is connected to whoever is.
                if not client.slots(DOUBLER):
                    await asyncio.sleep(0.02)
                    continue
                assert await doubled(client, number) == [2.0 * number]
                answered += 1

        # Several at a time, so that some are always in flight.
        assert min(await asyncio.gather(*(ask(float(number)) for number in range(8)))) > 0
        await changing
        await until(lambda: client.slots(DOUBLER) > 0)
        assert await doubled(client, 4.0) == [8.0]


async def test_an_updated_pool_starts_its_new_replica_before_the_old_one_leaves(driver: Cluster) -> None:
    from ray import serve

    from serving.processes.ray_pools import target

    (before,) = _members(driver, "default")
    changed = target(replace(driver.pools["default"], grace_s=2.5))
    await _answers_while(
        driver,
        "default",
        lambda: serve.run_many([changed]),
        lambda members: len(members) == 1 and before not in members,
    )
    assert _said_goodbye(driver, "default", before)


async def test_downscaling_loses_no_batch_and_the_replica_says_goodbye(driver: Cluster) -> None:
    import ray
    from ray.serve._private.common import DeploymentID
    from ray.serve.context import _get_global_client

    before = _members(driver, "wide")
    assert len(before) == 2
    client = _get_global_client()
    assert client is not None
    shrink = client._controller.update_deployment_replicas.remote
    await _answers_while(
        driver,
        "wide",
        lambda: ray.get(shrink(DeploymentID(name="pool", app_name="pool-wide"), 1)),
        lambda members: len(members) == 1,
    )
    (gone,) = before - _members(driver, "wide")
    assert _said_goodbye(driver, "wide", gone)
    await until(lambda: len(driver.engine.replicas("wide")) == 1)
