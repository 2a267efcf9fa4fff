"""The Ray Serve deployment: Ray places, restarts and checks replicas; batches come over the tensor stream."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

from serving.inference import VersionKey
from serving.pool import handle_batch
from serving.pool.host_process import HostProcess
from serving.pool.pool_spec import PoolSpec, dump, load
from serving.pool.scaling import Bounds
from serving.pool.scaling_policy import ScalingPolicy
from serving.runtime.source import dump_source, load_source

# Serve must never be the one that limits: when all replicas are full its router polls, 25 ms to 500 ms apart.
_MAX_ONGOING = 1_000
DEPLOYMENT = "pool"
_REPORT_S = 1.0
# A node has one of what marks it, which is never what its replicas are short of; Ray counts in ten-thousandths.
_SHARE_OF_A_NODE = 0.0001


class PoolReplica:
    """Ready when every version is warm or refused and the stream listens; Ray sees nothing of the batches.

    Which versions it hosts is its `user_config`: that Ray changes without replacing a replica, and a replacement is
    told the newest.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        spec = load(document)
        # Ray's own id is unique within a cluster; members of one pool may come from several.
        self._process = HostProcess(spec, f"{serve.get_replica_context().replica_id.unique_id}-{secrets.token_hex(2)}")
        self._runners = ThreadPoolExecutor(spec.slots or 1, thread_name_prefix="handle")
        self._left = False

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Host these versions and no others; Ray calls it before a replica is ready, and whenever they change."""
        await asyncio.to_thread(self._process.host_these, [load_source(entry) for entry in config["sources"]])

    async def run_batch(self, model: str, version: int, frame: bytes) -> bytes:
        """A RUN frame in, a RESULT or FAILED frame out: the way without the tensor stream."""
        key = VersionKey(model, version)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._runners, handle_batch.answer, self._process.host, key, frame)

    async def catalogue(self) -> bytes:
        """What is hosted, as a CATALOGUE frame."""
        return handle_batch.hosted(self._process.host)

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Ray calls this every second where the number of replicas follows the load."""
        return self._process.load().stats()

    async def check_health(self) -> None:
        """Ray calls this every few seconds and replaces a replica that raises three times in a row."""
        await asyncio.to_thread(self._process.health.check)

    def __del__(self) -> None:
        # The hook that Ray gives: called when the replica is told to stop, before its process is ended, and by Python
        # once more. Ray sees no stream requests, so without the drain it would stop a replica in the middle of them.
        if getattr(self, "_left", True):
            return
        self._left = True
        self._process.leave()


def application(spec: PoolSpec, name: str = DEPLOYMENT) -> serve.Application:
    """The pool as something `serve.run` takes; `name` is Serve's for the deployment."""
    options: dict[str, Any] = {"num_cpus": spec.num_cpus}
    if spec.environment:
        # Only where it is asked for: an environment of its own costs a replica a fresh worker process.
        options["runtime_env"] = {"env_vars": dict(spec.environment)}
    if spec.memory_mb:
        options["memory"] = spec.memory_mb * 1024 * 1024
    if spec.node_resource:
        options["resources"] = {spec.node_resource: _SHARE_OF_A_NODE}
    deployed = serve.deployment(
        name=name,
        # Start before stop: every deployment of a pool replaces all its replicas, by default the old one first.
        max_surge_percent=100,
        **_number(spec),
        max_ongoing_requests=_MAX_ONGOING,
        ray_actor_options=options,
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_wait_loop_s=0.1,
        # Beyond the drain there are two operations on a Redis that may not answer.
        graceful_shutdown_timeout_s=spec.grace_s + 10,
        user_config={"sources": [dump_source(source) for source in spec.sources]},
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )(PoolReplica)
    # How many there are is no matter of theirs: it can be changed without replacing any.
    alone = replace(spec, sources=(), replicas=1, most_replicas=0, scale_up_delay_s=0.0, scale_down_delay_s=0.0)
    place = dump(alone)
    # Without a version of ours each deployment is new code to Serve, which replaces every replica. Its option was
    # withdrawn from the public ones in favour of configuration files, which compute one likewise.
    code = hashlib.sha256(json.dumps([place, options], sort_keys=True).encode()).hexdigest()
    return deployed.options(version=code, _internal=True).bind(place)


def _number(spec: PoolSpec) -> dict[str, Any]:
    """How many replicas, or by what that is decided."""
    if not spec.scales:
        return {"num_replicas": spec.replicas}
    bounds = Bounds(spec.replicas, spec.most_replicas, spec.scale_up_delay_s, spec.scale_down_delay_s)
    policy = {"pool": spec.name, "bounds": asdict(bounds)}
    with warnings.catch_warnings():
        # Its successor is a variable of the controller's and every replica's environment, which is not ours to set
        # where a cluster runs already.
        warnings.simplefilter("ignore", DeprecationWarning)
        scaling = AutoscalingConfig(
            min_replicas=spec.replicas,
            max_replicas=spec.most_replicas,
            metrics_interval_s=_REPORT_S,
            look_back_period_s=5 * _REPORT_S,
            # By the wall clock, which may step; the policy waits by a clock that does not.
            upscale_delay_s=0,
            downscale_delay_s=0,
            policy=AutoscalingPolicy(policy_function=ScalingPolicy, policy_kwargs=policy),  # type: ignore[no-untyped-call]
        )
    return {"autoscaling_config": scaling}
