"""Sluice for one experiment: configured, started in a session of its own, and ended with everything it started."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.contenders import PROJECT_PYTHON, Contender
from benchmarks.server import Server
from benchmarks.workload import Workload


@contextmanager
def folder() -> Iterator[Path]:
    """For models and configuration; removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="load-") as path:
        yield Path(path)


@contextmanager
def running(
    models: Path,
    engine: str,
    sections: Mapping[str, Any],
    workloads: Sequence[Workload],
    *,
    apart: bool = False,
) -> Iterator[Server]:
    """`sluice up` with these sections, once every workload has had its first right answer.

    `apart` leaves the last core to this process alone, where there are two at least.
    """
    # JSON is YAML.
    (models / "sluice.yaml").write_text(json.dumps(sections))
    cores = sorted(os.sched_getaffinity(0))
    theirs, ours = (cores[:-1], cores[-1:]) if apart and len(cores) > 1 else (cores, cores)
    arguments = ("--engine", engine, "--cores", ",".join(map(str, theirs)))
    server = Server(
        Contender(f"sluice-{engine}", "", "sluice", "sluice_configured", PROJECT_PYTHON, arguments, ready_s=120), models
    )
    os.sched_setaffinity(0, ours)
    try:
        for workload in workloads:
            server.wait_ready(workload)
        yield server
    finally:
        os.sched_setaffinity(0, cores)
        server.stop()
