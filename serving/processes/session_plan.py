"""What one `sluice up` is asked to run: made from the configuration, read by the supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One version to serve; `default` marks the one that answers when a request names no version.

    With `own_replicas` it is hosted by so many of a rollout's canary pool as well, or up to `own_most` where that is
    more, each with `own_cpus` processors and `own_memory_mb` megabytes.
    """

    model: str
    version: int
    path: str
    default: bool = True
    own_replicas: int = 0
    own_most: int = 0
    own_cpus: float = 0.0
    own_memory_mb: int = 0


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """Plain values only, so that a worker can be told all of it as JSON.

    Ports may be 0 (any free one); `grpc_port` None serves no gRPC, `metrics_port` no metrics, `control_port` no
    control app.
    `control_token_file` None keeps its token in the state directory. State URLs are "embedded" or a Redis URL; the
    in-process engine uses the one of features only with `feature_views`, and that of control only with `rollouts`,
    which are judged from counts in it. `state_dir` None keeps what should outlive a crash in the session's run
    directory, which ends with the session. `samples` holds, per model, the body of an infer request that must work
    before the session is called ready. `secret` "" lets the session make its own.
    `config` goes to workers and engine as it is. `left_out` is what of the repository cannot be served, by `model` or
    `model/version`, and why.
    """

    engine: Literal["ray", "in-process", "external"] = "in-process"
    workers: int = 1
    http_host: str = "127.0.0.1"
    http_port: int = 8080
    grpc_host: str = "127.0.0.1"
    grpc_port: int | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = 8082
    control_host: str = "127.0.0.1"
    control_port: int | None = None
    control_token_file: str | None = None
    models: tuple[ServedModel, ...] = ()
    control_url: str = EMBEDDED
    features_url: str = EMBEDDED
    features_memory_mb: int = 256
    feature_views: bool = False
    rollouts: bool = False
    state_dir: str | None = None
    secret: str = field(default="", repr=False)
    grace_s: float = 8.0
    samples: Mapping[str, bytes] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    # Where a worker finds its gateway and the engine its program; tests put a small one in their place.
    gateway_builder: str = "serving.processes.gateway:build_gateway"
    engine_program: str = "serving.processes.ray_engine"

    def default_models(self) -> tuple[str, ...]:
        """Names of the models that answer without a version."""
        return tuple(dict.fromkeys(served.model for served in self.models if served.default))
