"""Sluice as its users start it: `sluice up --models DIR`, nothing configured and nothing switched off."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from benchmarks.peers import options, ray_cluster

START = "import sys; from serving.cli.main import main; sys.argv[0] = 'sluice'; sys.exit(main())"


def become(given: argparse.Namespace, *flags: str) -> NoReturn:
    """End as `sluice up` with the ports of these options, in this process's place."""
    ports = {
        "--http-port": given.port,
        "--grpc-port": given.grpc_port,
        "--metrics-port": given.metrics_port,
        "--control-port": ray_cluster.free_port(),
    }
    places = [text for name, port in ports.items() for text in (name, str(port))]
    os.execv(sys.executable, [sys.executable, "-c", START, "up", "--engine", given.engine, *flags, *places])


if __name__ == "__main__":
    asked = options.read("engine", "workers")
    become(asked, "--models", str(asked.models), "--workers", asked.workers)
