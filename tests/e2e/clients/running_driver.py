"""Runs a driver in its client's environment against a session; each driver once, whatever asks for its checks."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.clients.drivers.checking import PREFIX
from tests.e2e.clients.environments import environment
from tests.e2e.sluice_up import ROOT, SluiceUp
from tests.e2e.sluice_up import environment as variables

DRIVERS = Path(__file__).parent / "drivers"
ENVIRONMENTS = {
    "tritonclient_http": "mlserver",
    "tritonclient_http_aio": "mlserver",
    "tritonclient_grpc": "mlserver",
    "tritonclient_grpc_aio": "mlserver",
    "kserve_rest": "kserve",
    "kserve_grpc": "kserve",
}
_WITHIN_S = 100.0


@dataclass(frozen=True, slots=True)
class Ended:
    """The client's version, and of each check what it raised; nothing where it passed."""

    version: str
    checks: Mapping[str, str]


def checks_of(driver: str) -> list[str]:
    """The checks that stand in a driver, which cannot be imported beside Sluice."""
    tree = ast.parse((DRIVERS / f"{driver}.py").read_text())
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [function.name for function in functions if function.name.startswith(PREFIX)]


def run_driver(driver: str, session: SluiceUp) -> Ended:
    """All checks of a driver."""
    python = environment(ENVIRONMENTS[driver]) / "bin" / "python"
    addresses = [f"127.0.0.1:{session.port}", f"127.0.0.1:{session.grpc_port}"]
    said = subprocess.run(
        [python, "-m", f"tests.e2e.clients.drivers.{driver}", *addresses],
        cwd=ROOT,
        env=variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=_WITHIN_S,
    )
    assert said.returncode == 0, said.stderr
    # Some clients print what they do.
    document = json.loads(said.stdout.splitlines()[-1])
    return Ended(document["version"], document["checks"])
