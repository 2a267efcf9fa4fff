"""Sluice with what `sluice.yaml` beside the models says: `sluice up --config` as users start it."""

from __future__ import annotations

import os
import sys

from benchmarks.peers import options, ray_cluster
from benchmarks.peers.sluice import START

if __name__ == "__main__":
    given = options.read("engine", "cores")
    # Of its own, so that the generator's work is not taken from it; children inherit that.
    os.sched_setaffinity(0, [int(core) for core in given.cores.split(",")])
    ports = {
        "--http-port": given.port,
        "--grpc-port": given.grpc_port,
        "--metrics-port": given.metrics_port,
        "--control-port": ray_cluster.free_port(),
    }
    flags = [text for name, port in ports.items() for text in (name, str(port))]
    files = ["--config", str(given.models / "sluice.yaml"), "--models", str(given.models)]
    command = ["up", *files, "--engine", given.engine, *flags]
    os.execv(sys.executable, [sys.executable, "-c", START, *command])
