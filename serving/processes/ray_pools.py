"""Deploys the pools on the running cluster, watches them, and takes them down in order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence

import ray
from ray import serve
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview

from serving.errors import Unavailable
from serving.pool.pool_spec import PoolSpec
from serving.pool.replica import application
from serving.processes.pool_room import without
from serving.processes.scaling_notes import ScalingNotes

log = logging.getLogger(__name__)

_PREFIX = "pool-"
_LOOK_S = 0.05
_WATCH_S = 1.0
_CHANGED_WITHIN_S = 120.0

Tell = Callable[..., None]


def app_name(pool: str) -> str:
    """The Serve application of a pool: one each, so that a pool is updated and removed without the others."""
    return _PREFIX + pool


def target(pool: PoolSpec) -> serve.RunTarget:
    """What `serve.run_many` takes; the number of replicas may be changed later without replacing any."""
    return serve.RunTarget(
        application(pool), name=app_name(pool.name), route_prefix=None, external_scaler_enabled=not pool.scales
    )


def deploy(pools: Sequence[PoolSpec], stopping: threading.Event, ended: Callable[[str], None], tell: Tell) -> None:
    """Start every pool side by side; returns when all are up, or at once when told to stop."""
    # No proxy: requests come over the tensor stream, and Serve's own HTTP would take port 8000.
    serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
    ended("serve controller")
    targets = [target(pool) for pool in pools]
    if targets:
        serve.run_many(targets, wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)
    ended("deploy")
    told: dict[str, str] = {}
    while not stopping.wait(_LOOK_S):
        overviews = _overviews()
        _tell_trouble(overviews, told, tell)
        if len(overviews) == len(pools) and all(o.status == ApplicationStatus.RUNNING for o in overviews.values()):
            break
    ended("replicas")


def change(pools: Sequence[PoolSpec]) -> None:
    """Give pools other versions, and start those that do not run; no replica is replaced.

    Returns when every replica has loaded or refused them.

    Raises:
        Unavailable: they were not done in time; Ray goes on with it.
    """
    if not pools:
        return
    serve.run_many(
        [target(pool) for pool in pools],
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )
    ends_at = time.monotonic() + _CHANGED_WITHIN_S
    names = {app_name(pool.name) for pool in pools}
    while not _all_run(names):
        if time.monotonic() > ends_at:
            raise Unavailable(
                f"the replicas of {', '.join(sorted(names))} are still loading; see the log of the engine"
            )
        time.sleep(_LOOK_S)


def find_room(pools: Sequence[PoolSpec], remedy: Callable[[PoolSpec], str]) -> None:
    """Whether the cluster can start them: without room their replicas would wait for ever.

    Raises:
        ModelUnservable: it cannot; says what is asked for and what is left.
    """
    if not pools:
        return
    free = ray.available_resources()  # type: ignore[no-untyped-call]
    for pool in pools:
        free = without(free, pool, remedy(pool))


def remove(names: Sequence[str]) -> None:
    """End pools; their replicas deregister and drain."""
    for name in names:
        serve.delete(app_name(name))


def watch(stopping: threading.Event, tell: Tell) -> None:
    """Tell how many replicas live and should, and of trouble, until told to stop; Ray mends what it can by itself."""
    counted: tuple[dict[str, int], dict[str, int]] = {}, {}
    scaling = ScalingNotes(tell)
    told: dict[str, str] = {}
    while True:
        try:
            overviews = _overviews()
            _tell_trouble(overviews, told, tell)
            now = {name.removeprefix(_PREFIX): _alive(overview) for name, overview in overviews.items()}
            scaling.look(now)
            if (now, scaling.wished) != counted:
                counted = now, scaling.wished
                tell("replicas", alive=now, wished=scaling.wished)
        # The controller is an actor that may be restarting; nothing of that may end a cluster that serves.
        except Exception as error:  # noqa: BLE001
            log.warning("Ray Serve's controller did not answer: %s", error)
        if stopping.wait(_WATCH_S):
            return


def end() -> None:
    """Let replicas deregister and drain; returns when they have ended."""
    serve.shutdown()  # type: ignore[no-untyped-call]


def _all_run(names: Collection[str]) -> bool:
    overviews = _overviews()
    # A new one is not listed at once.
    return all(name in overviews and overviews[name].status == ApplicationStatus.RUNNING for name in names)


def _overviews() -> dict[str, ApplicationStatusOverview]:
    return {name: overview for name, overview in serve.status().applications.items() if name.startswith(_PREFIX)}


def _tell_trouble(overviews: dict[str, ApplicationStatusOverview], told: dict[str, str], tell: Tell) -> None:
    for name, overview in overviews.items():
        trouble = "; ".join(deployment.message for deployment in overview.deployments.values() if deployment.message)
        if overview.status == ApplicationStatus.RUNNING:
            trouble = ""
        if trouble and told.get(name) != trouble:
            tell("trouble", text=f"pool {name.removeprefix(_PREFIX)}: {trouble}")
        told[name] = trouble


def _alive(overview: ApplicationStatusOverview) -> int:
    return sum(
        count
        for deployment in overview.deployments.values()
        for state, count in deployment.replica_states.items()
        # The keys are plain text, whatever their type says.
        # One that is told to host something else serves all the while.
        if state in ("RUNNING", "UPDATING")
    )
