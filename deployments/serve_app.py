"""The pools as one Ray Serve application: `serve run deployments.serve_app:app`, or the import path of a RayService.

SLUICE_CONFIG names the configuration (default: sluice.yaml, if there is one), any setting can be given as
SLUICE_SECTION__KEY, and SLUICE_MODELS names the model repository (default: the configuration's, else the flights
example). With SLUICE_POOL_SECRET set, replicas also answer over the tensor stream, each on what SLUICE_POOL_HOST is on
its own node. SLUICE_POOL_GROUPS names pools whose replicas run on nodes with the custom resource `pool-NAME` alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from ray import serve

from serving.config.effective import effective
from serving.config.serving_models import TRIAL
from serving.pool.host_process import HOST
from serving.pool.pool_listing import listing
from serving.pool.pool_spec import PoolSpec
from serving.pool.replica import application
from serving.pool.secret import VARIABLE
from serving.processes.engine_pools import pools_at
from serving.processes.session_plan import EMBEDDED, ServedModel
from serving.registry.repository import Repository
from serving.state.connection import problem_with

log = logging.getLogger("ray.serve")

_EXAMPLE = Path(__file__).parent / "flights" / "models"
_GROUPS = "SLUICE_POOL_GROUPS"
_OURS = ("SLUICE_CONFIG", "SLUICE_MODELS", "SLUICE_SESSION", _GROUPS, HOST, VARIABLE)


def build(environment: Mapping[str, str]) -> serve.Application:
    """One deployment for each pool of the configuration.

    Raises:
        ConfigInvalid: names every wrong key.
    """
    file = environment.get("SLUICE_CONFIG")
    settings_environment = {name: value for name, value in environment.items() if name not in _OURS}
    settings = effective(Path(file) if file else None, settings_environment, {}).settings
    root = environment.get("SLUICE_MODELS") or settings.repository.models_dir or str(_EXAMPLE)
    models = [
        ServedModel(version.key.model, version.key.version, str(version.path))
        for version in Repository(Path(root).absolute()).listing().versions
    ]
    groups = environment.get(_GROUPS, "").split()
    pools = [
        in_its_group(pool, groups)
        for pool in pools_at(place_of(environment, settings.state.control_url), settings, models)
    ]
    return listing({pool.name: application(pool, f"pool-{pool.name}") for pool in pools})


def in_its_group(pool: PoolSpec, groups: Collection[str]) -> PoolSpec:
    """On the nodes of the group that is called as it is, where there is one; versions under trial beside the others."""
    name = pool.name.removesuffix(TRIAL)
    return replace(pool, node_resource=f"pool-{name}") if name in groups else pool


def place_of(environment: Mapping[str, str], control_url: str) -> PoolSpec:
    """What all pools have in common; nothing of the node that builds this, since replicas run on others."""
    stream = bool(environment.get(VARIABLE))
    reachable = stream and control_url != EMBEDDED
    problem = "state.control_url is not set" if control_url == EMBEDDED else ""
    if not stream:
        problem = f"{VARIABLE} is not set"
    elif reachable:
        problem = problem_with(control_url)
    if problem:
        log.warning("gateways will not find these pools (%s); they answer by Ray's handle", problem)
    # A server that is only away for now is registered with as soon as it is back.
    return PoolSpec(
        name="",
        sources=(),
        control_url=control_url if reachable else "",
        stream=stream,
    )


app = build(os.environ)
