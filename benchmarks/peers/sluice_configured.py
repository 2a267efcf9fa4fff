"""Sluice with what `sluice.yaml` beside the models says: `sluice up --config` as users start it."""

from __future__ import annotations

import os

from benchmarks.peers import options
from benchmarks.peers.sluice import become

if __name__ == "__main__":
    given = options.read("engine", "cores")
    # Of its own, so that the generator's work is not taken from it; children inherit that.
    os.sched_setaffinity(0, [int(core) for core in given.cores.split(",")])
    become(given, "--config", str(given.models / "sluice.yaml"), "--models", str(given.models))
