"""Sluice with the feature views of a shape: the same server takes entity ids and finished rows."""

from __future__ import annotations

import json

from benchmarks.features import shape as shapes
from benchmarks.features.store import configuration
from benchmarks.peers import options
from benchmarks.peers.sluice import become

if __name__ == "__main__":
    given = options.read("engine", "near-mb", "layout", "log-share")
    sections = configuration(given.models, shapes.read(given.models), int(given.near_mb), given.layout)
    if float(given.log_share):
        log = {"folder": str(given.scratch / "served"), "sample": float(given.log_share), "hash_ids": True}
        sections["features"]["served_log"] = log
    file = given.scratch / "sluice.yaml"
    # JSON is YAML.
    file.write_text(json.dumps(sections))
    become(given, "--config", str(file))
