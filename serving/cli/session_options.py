"""What `up` and `demo` ask for on the command line, as the configuration's highest layer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.config.effective import Effective, effective


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Every flag that is a setting; None where the caller said nothing."""

    config: Path | None = None
    models: Path | None = None
    engine: str | None = None
    workers: int | None = None
    http_port: int | None = None
    grpc_port: int | None = None
    metrics_port: int | None = None
    control_port: int | None = None
    redis_url: str | None = None
    rollouts: bool | None = None

    def flags(self) -> Mapping[tuple[str, ...], tuple[str, Any]]:
        """Path of the setting, name of the flag, value."""
        models = str(self.models) if self.models is not None else None
        said = {
            ("repository", "models_dir"): ("--models", models),
            ("engine", "kind"): ("--engine", self.engine),
            ("http", "workers"): ("--workers", self.workers),
            ("http", "port"): ("--http-port", self.http_port),
            ("grpc", "port"): ("--grpc-port", self.grpc_port),
            ("metrics", "port"): ("--metrics-port", self.metrics_port),
            ("control", "port"): ("--control-port", self.control_port),
            ("state", "control_url"): ("--redis-url", self.redis_url),
            ("state", "features_url"): ("--redis-url", self.redis_url),
            ("state", "rollouts"): ("--rollouts", self.rollouts),
        }
        return {path: flag for path, flag in said.items() if flag[1] is not None}

    def effective(self) -> Effective:
        """The configuration that holds with these flags.

        Raises:
            ConfigInvalid: names every wrong key.
        """
        return effective(self.config, os.environ, self.flags())
