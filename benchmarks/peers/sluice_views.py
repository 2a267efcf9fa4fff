"""Sluice with the feature views of a shape: the same server takes entity ids and finished rows."""

from __future__ import annotations

import json
import os
import sys

from benchmarks.features import shape as shapes
from benchmarks.features.store import configuration
from benchmarks.peers import options, ray_cluster
from benchmarks.peers.sluice import START

if __name__ == "__main__":
    given = options.read("engine", "near-mb", "layout", "log-share")
    sections = configuration(given.models, shapes.read(given.models), int(given.near_mb), given.layout)
    if float(given.log_share):
        log = {"folder": str(given.scratch / "served"), "sample": float(given.log_share), "hash_ids": True}
        sections["features"]["served_log"] = log
    file = given.scratch / "sluice.yaml"
    # JSON is YAML.
    file.write_text(json.dumps(sections))
    ports = {
        "--http-port": given.port,
        "--grpc-port": given.grpc_port,
        "--metrics-port": given.metrics_port,
        "--control-port": ray_cluster.free_port(),
    }
    flags = [text for name, port in ports.items() for text in (name, str(port))]
    command = ["up", "--config", str(file), "--engine", given.engine, *flags]
    os.execv(sys.executable, [sys.executable, "-c", START, *command])
