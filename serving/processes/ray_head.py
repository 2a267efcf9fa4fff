"""Starts a Ray head of this session's own, without the three processes that nothing here uses."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import ray

log = logging.getLogger(__name__)

# Ray's own minimum is 75 MB. Batches never go through it.
_OBJECT_STORE_BYTES = 80 * 1024 * 1024
_AGENTS_S = 2.0


def start(num_cpus: float, temp_dir: Path | None) -> str:
    """Start it as children of this process, on ports of its own; returns the address for other drivers."""
    with _without_idle_parts():
        ray.init(
            num_cpus=math.ceil(num_cpus),
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            log_to_driver=False,
            configure_logging=True,
            logging_level=logging.WARNING,
            _temp_dir=None if temp_dir is None else str(temp_dir),
        )
    return str(ray.get_runtime_context().gcs_address)


class HeadLost(Exception):
    """A process without which the cluster does not go on has ended."""


class Parts:
    """The head's own processes: children of this one, none of which ends while the cluster is well."""

    def __init__(self) -> None:
        self._parts = psutil.Process().children()

    def check(self) -> None:
        """Look whether all are there.

        Raises:
            HeadLost: names the one that is not.
        """
        for part in self._parts:
            if not part.is_running() or part.status() == psutil.STATUS_ZOMBIE:
                raise HeadLost(f"process {part.pid} of the Ray head ended")


def end() -> None:
    """End the head's processes, and this process's part in the cluster."""
    started = psutil.Process().children(recursive=True)
    ray.shutdown()
    # Ray's agents outlive a head that is ended in the middle of its start by half a minute and more.
    _, left = psutil.wait_procs(started, timeout=_AGENTS_S)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@contextlib.contextmanager
def _without_idle_parts() -> Iterator[None]:
    """Leave out the dashboard's head process, the autoscaler's monitor and the log monitor.

    Ray has no switch for them in `ray.init`. They take 1.3 s of a start on two cores and about 200 MB. Where another
    release of Ray has other names, nothing is left out.
    """
    try:
        from ray._private.node import Node  # noqa: PLC0415 - private names, guarded
    except ImportError:
        yield
        return
    parts = ("start_api_server", "start_monitor", "start_log_monitor")
    kept = {name: getattr(Node, name) for name in parts if hasattr(Node, name)}

    def left_out(node: Any, **_: object) -> None:  # noqa: ANN401 - a private class
        # What the dashboard's start would have set.
        node._webui_url = None  # noqa: SLF001 - see above

    if len(kept) == len(parts):
        for name in parts:
            setattr(Node, name, left_out)
    else:
        log.info("this release of Ray starts its dashboard and monitors as well")
    try:
        yield
    finally:
        for name, method in kept.items():
            setattr(Node, name, method)
