"""Where a request's processor time goes, by process and library: `python -m benchmarks.profile`; needs `perf`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks import machine, wrk
from benchmarks.contenders import CONTENDERS
from benchmarks.profile.page import render
from benchmarks.profile.samples import Sample, counts, parse
from benchmarks.server import Server
from benchmarks.workload import WORKLOADS, Workload

RESULTS = Path(__file__).parent.parent / "results" / "profile.json"
SERVERS = ("sluice-in-process", "sluice-ray")
BODIES = ("mlp", "binary")
CALLERS = (1, 64, 256)
SAMPLES_PER_S = 1_999
WARM_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where `perf` cannot sample here."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the results file")
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {
        "began": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine.facts(),
        "seconds": given.seconds,
        "loads": [],
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        models = Path(made)
        for body in BODIES:
            workload = WORKLOADS[body](models)
            if workload is None:
                continue
            for name in SERVERS:
                try:
                    results["loads"] += _turn(name, workload, models, given.seconds)
                except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                    print(f"{name}, {body}: {error}", file=sys.stderr)
                    return 1
    given.output.write_text(json.dumps(results, indent=1) + "\n")
    print(render(results))
    return 0


def _turn(name: str, workload: Workload, models: Path, seconds: float) -> list[dict[str, Any]]:
    """One server, loaded by each number of callers."""
    server = Server(next(c for c in CONTENDERS if c.name == name), models)
    try:
        server.wait_ready(workload)
        url = f"http://127.0.0.1:{server.port}{workload.path}"
        asked = workload.write_bodies(models), workload.encoding.headers(workload)
        wrk.apply(url, *asked, max(CALLERS), WARM_S)
        loads = []
        for callers in CALLERS:
            recording = models / f"{name}-{workload.name}-{callers}.perf"
            with _recorded(recording, seconds):
                load = wrk.apply(url, *asked, callers, seconds + 1)
            found = _samples(recording)
            if load.failed or load.late or not found:
                raise RuntimeError(f"{load.failed} failed and {load.late} late answers, {len(found)} samples")
            # Of a core, for each sample and each request of the time in which samples were taken.
            us = 1e6 / SAMPLES_PER_S / (load.per_second * seconds)
            loads.append(
                {
                    "contender": name,
                    "workload": workload.name,
                    "callers": callers,
                    "per_second": load.per_second,
                    "samples": len(found),
                    "cores": os.cpu_count(),
                    "us": {
                        role: {library: round(n * us, 2) for library, n in libraries.items()}
                        for role, libraries in counts(found, _roles(server)).items()
                    },
                }
            )
        return loads
    finally:
        server.stop()


def _recorded(path: Path, seconds: float) -> subprocess.Popen[bytes]:
    """`perf`, which samples all cores for so long; left as a context, it has ended."""
    command = ["perf", "record", "--quiet", "--all-cpus", "--event", "cpu-clock", "--freq", str(SAMPLES_PER_S)]
    return subprocess.Popen([*command, "--output", str(path), "--", "sleep", str(seconds)])


def _samples(recording: Path) -> list[Sample]:
    command = ["perf", "script", "--input", str(recording), "--fields", "comm,pid,ip,dso"]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    recording.unlink()
    return parse(ended.stdout)


def _roles(server: Server) -> dict[int, str]:
    roles: dict[int, str] = {}
    for process in server.processes():
        with suppress(psutil.NoSuchProcess):
            roles[process.pid] = _role(" ".join(process.cmdline()))
    return roles


def _role(title: str) -> str:
    if title.startswith("ray::ServeReplica"):
        return "replica"
    return "gateway worker" if "gateway_worker" in title else "others of Sluice"


if __name__ == "__main__":
    sys.exit(main())
