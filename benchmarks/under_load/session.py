"""Sluice for one experiment: configured, started in a session of its own, and ended with everything it started."""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.contenders import PROJECT_PYTHON, ROOT, Contender
from benchmarks.server import Server
from benchmarks.workload import Workload


class Session:
    """A server, and how many cores others used beside it, this process and its children: None while it runs."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.port = server.port
        self.others_cores: float | None = None
        self._began = time.monotonic()
        self._before = self._others_s()

    def ends(self) -> None:
        """Call before the server does."""
        used = self._others_s() - self._before
        self.others_cores = round(max(0.0, used / (time.monotonic() - self._began)), 3)

    def _others_s(self) -> float:
        times = psutil.cpu_times()
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = time.process_time() + children.ru_utime + children.ru_stime + self.server.cpu_s()
        return float(sum(times) - times.idle - times.iowait) - ours


@contextmanager
def folder() -> Iterator[Path]:
    """For models and configuration; removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="load-") as path:
        yield Path(path)


@contextmanager
def running(  # noqa: PLR0913 - each of them is what some experiment varies
    models: Path,
    engine: str,
    sections: Mapping[str, Any],
    workloads: Sequence[Workload],
    *,
    apart: bool = False,
    checkout: Path | None = None,
) -> Iterator[Session]:
    """`sluice up` with these sections, once every workload has had its first right answer.

    `apart` leaves the last core to this process alone, where there are two at least. `checkout` is another
    one, installed, whose Sluice is meant.
    """
    # JSON is YAML.
    (models / "sluice.yaml").write_text(json.dumps(sections))
    cores = sorted(os.sched_getaffinity(0))
    theirs, ours = (cores[:-1], cores[-1:]) if apart and len(cores) > 1 else (cores, cores)
    arguments = ("--engine", engine, "--cores", ",".join(map(str, theirs)))
    python = PROJECT_PYTHON if checkout is None else checkout / ".venv" / "bin" / "python"
    name, program = f"sluice-{engine}", "sluice_configured"
    contender = Contender(name, "", "sluice", program, python, arguments, ready_s=120, root=checkout or ROOT)
    server = _started(contender, models, workloads)
    os.sched_setaffinity(0, ours)
    try:
        session = Session(server)
        yield session
        session.ends()
    finally:
        os.sched_setaffinity(0, cores)
        server.stop()


def _started(contender: Contender, models: Path, workloads: Sequence[Workload]) -> Server:
    while True:
        server = Server(contender, models)
        try:
            for workload in workloads:
                server.wait_ready(workload)
            return server
        except BaseException as problem:
            server.stop()
            # Between looking for a free port and taking it, anybody's connection may be given it: look again.
            if not (isinstance(problem, RuntimeError) and "in use by another program" in str(problem)):
                raise
