"""Whether a cluster's head answers, asked by another process so that the tests cannot hang with it; and its state."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from serving.processes import ray_environment
from tests.integration.ray.engine import ROOT, Engine

_WITHIN_S = 30.0
_ASK = "import sys; from ray._raylet import GcsClient; print(GcsClient(address=sys.argv[1]).cluster_id.hex())"


def answers(engine: Engine, address: str) -> bool:
    """Whether it does in half a minute, which is a hundred times what it takes."""
    told = {**ray_environment.environment(engine.folder), **ray_environment.joining()}
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK, address],
            env={**os.environ, **told, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def condition(engine: Engine) -> str:
    """State of each of its processes, and the end of what its head wrote."""
    states = [f"{_state(pid)} {pid} {command[:120]}" for pid, command in engine.processes().items()]
    logs = sorted((engine.folder / "ray").glob("session_2*/logs/gcs_server*"))
    ends = [f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs]
    return "\n".join([*states, *ends])


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"
