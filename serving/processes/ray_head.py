"""Starts a Ray head of this session's own, without the three processes that nothing here uses."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import ray

from serving.processes.session_members import in_kernel_session

log = logging.getLogger(__name__)

# Ray's own minimum is 75 MB. Batches never go through it.
_OBJECT_STORE_BYTES = 80 * 1024 * 1024
_AGENTS_S = 2.0
_KILLED_S = 5.0
_LOOK_S = 0.1


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


class Parts:
    """The head's own processes: children of this one, none of which ends while the cluster is well."""

    def __init__(self) -> None:
        self._parts = psutil.Process().children()

    def lost(self) -> str:
        """Names the one that has ended; empty while all are there."""
        for part in self._parts:
            if _has_ended(part):
                return f"process {part.pid} of the Ray head ended"
        return ""


def end() -> None:
    """End the head's processes, and this process's part in the cluster."""
    ray.shutdown()
    # A head that is ended in the middle of its start is not ended by that, and goes on starting its agents, which
    # outlive it by half a minute and more: looked at again until none is left.
    patience = time.monotonic() + _AGENTS_S
    while (left := _started()) and time.monotonic() < patience + _KILLED_S:
        if time.monotonic() > patience:
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        psutil.wait_procs(left, timeout=_LOOK_S)


def _started() -> list[psutil.Process]:
    """All that came of this process and lives; also what lost its parent, where this process began its session."""
    children = psutil.Process().children(recursive=True)
    if os.getsid(0) == os.getpid():
        ours = in_kernel_session(os.getpid())
        children = [process for process in psutil.process_iter() if process.pid in ours]
    return [process for process in children if not _has_ended(process)]


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


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
