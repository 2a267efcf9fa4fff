"""A session that one file of tests shares, with replicas that fit two processors."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.doubling import save_models
from tests.e2e.sluice_up import SluiceUp


@contextlib.contextmanager
def ray_session(folder: Path, *, replicas: int = 1, workers: int = 1) -> Iterator[SluiceUp]:
    """`doubler` and `divides` on Ray; a clean end is asserted."""
    pool = {"min_replicas": replicas, "max_replicas": replicas, "num_cpus": 0.5, "memory_mb": 256}
    config = folder / "sluice.yaml"
    # JSON is YAML.
    config.write_text(json.dumps({"pools": {"default": pool}, "http": {"workers": workers}}))
    session = SluiceUp("--models", str(save_models(folder / "models")), "--config", str(config), engine="ray")
    try:
        yield session.wait_until_ready()
        session.close()
    finally:
        session.destroy()
