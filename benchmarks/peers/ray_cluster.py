"""A Ray cluster of its own for one contender: own folder, free ports, gone when the process is told to end."""

# ruff: noqa: ANN401 -- an application has no type that Ray Serve names

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers import options


def free_port() -> int:
    """A port of this host that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((options.ADDRESS, 0))
        return int(probe.getsockname()[1])


def run(app: Any, port: int, scratch: Path, logging: Mapping[str, Any] | None = None) -> None:
    """Start Ray and Serve, run the application at `/`, and wait for SIGTERM or SIGINT."""
    import ray
    from ray import serve

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=200 << 20,
        _temp_dir=str(scratch),
    )
    try:
        serve.start(http_options={"host": options.ADDRESS, "port": port})
        serve.run(app, route_prefix="/", logging_config=dict(logging) if logging else None)
        signal.pause()
    finally:
        # Without serve.shutdown: it waits for draining, and nobody is served any more.
        ray.shutdown()
