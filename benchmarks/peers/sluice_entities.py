"""Sluice with feature views configured: the same server takes entity ids and finished rows."""

from __future__ import annotations

import json

from benchmarks.feature_server import configuration
from benchmarks.peers import options
from benchmarks.peers.sluice import become

if __name__ == "__main__":
    given = options.read("engine", "near-mb")
    file = given.scratch / "sluice.yaml"
    # JSON is YAML.
    file.write_text(json.dumps(configuration(given.models, int(given.near_mb))))
    become(given, "--config", str(file))
