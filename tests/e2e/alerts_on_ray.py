"""Alerts that need Ray: a session whose control Redis is away at first, and whose only replica is killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.alerts_in_process import killed_as_they_appear
from tests.e2e.doubling import save_models
from tests.e2e.parts import REPLICA
from tests.e2e.provocation import Provocation
from tests.e2e.sluice_up import SluiceUp


def start(folder: Path, control_url: str) -> SluiceUp:
    """One replica, and a control Redis with an address; not yet ready."""
    pool = {"min_replicas": 1, "max_replicas": 1, "num_cpus": 0.5, "memory_mb": 256}
    config = folder / "sluice.yaml"
    # JSON is YAML.
    config.write_text(json.dumps({"pools": {"default": pool}, "state": {"control_url": control_url}}))
    return SluiceUp("--models", str(save_models(folder / "models")), "--config", str(config), engine="ray")


@contextmanager
def _no_replica(session: SluiceUp) -> Iterator[None]:
    with killed_as_they_appear(session, REPLICA):
        yield


NO_REPLICA = Provocation(
    ("SluicePoolEmpty", "SluiceReplicaLost"), "SIGKILL to the pool's only replica, each time it appears", _no_replica
)
NOT_READY = "`sluice up --engine ray` with a `state.control_url` where nothing listens; later a Redis does"
