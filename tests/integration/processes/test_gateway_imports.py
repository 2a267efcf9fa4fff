"""A gateway loads nothing that only other gateways need."""

from __future__ import annotations

import subprocess
import sys


def test_a_gateway_does_not_import_ray() -> None:
    program = "import sys, serving.processes.gateway, serving.processes.gateway_worker; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
