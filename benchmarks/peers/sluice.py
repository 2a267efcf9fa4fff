"""Sluice as its users start it: `sluice up --models DIR`, nothing configured and nothing switched off."""

from __future__ import annotations

import os
import sys

from benchmarks.peers import options, ray_cluster

START = "import sys; from serving.cli.main import main; sys.argv[0] = 'sluice'; sys.exit(main())"

if __name__ == "__main__":
    given = options.read("engine", "workers")
    ports = {
        "--http-port": given.port,
        "--grpc-port": given.grpc_port,
        "--metrics-port": given.metrics_port,
        "--control-port": ray_cluster.free_port(),
    }
    flags = [text for name, port in ports.items() for text in (name, str(port))]
    command = ["up", "--models", str(given.models), "--engine", given.engine, "--workers", given.workers, *flags]
    os.execv(sys.executable, [sys.executable, "-c", START, *command])
