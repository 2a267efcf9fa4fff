"""`sluice --help` answers at once, since commands import what they need only when they run."""

from __future__ import annotations

import subprocess
import sys

from tests.integration.cli.sluice_command import ROOT, environment

HEAVY = ("numpy", "onnxruntime", "ray", "redis", "pydantic", "prometheus_client", "uvloop", "asyncio", "rich")


def test_the_command_line_is_put_together_without_heavy_libraries() -> None:
    program = f"import sys, serving.cli.command_line; print([name for name in {HEAVY!r} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    assert ended.stdout == "[]\n"
