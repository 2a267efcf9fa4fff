"""On what and with what it was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.install import ENVIRONMENTS, PEERS_PYTHON
from serving import inference

ROOT = Path(__file__).parent.parent
SHARED = ("httptools", "uvloop", "orjson", "numpy", "onnxruntime", "ray")


def facts() -> dict[str, Any]:
    """CPU, kernel, versions and commit; nothing about who or where."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        "commit": commit(ROOT),
        "uncommitted": bool(_output(["git", "-C", str(ROOT), "status", "--porcelain", "serving"])),
        "compiled": not inference.__file__.endswith(".py"),
        "sluice": {name: _version(name) for name in SHARED},
        "peers": {"python": _output([str(PEERS_PYTHON), "-V"]).removeprefix("Python "), **_pins()},
        "nginx": _output(["/usr/sbin/nginx", "-v"]).partition("/")[2],
        "h2load": _output(["h2load", "--version"]).removeprefix("h2load "),
        "wrk": _output(["wrk", "-v"]).partition(" [")[0].removeprefix("wrk "),
    }


def commit(checkout: Path) -> str:
    """What is checked out there, in twelve digits."""
    return _output(["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"])


def off_main() -> bool:
    """The branch main does not have this commit: results that name it may name one that is gone after a rebase."""
    # Where there is no such branch git says so, which is as much of a reason.
    return bool(_output(["git", "-C", str(ROOT), "rev-list", "--max-count=1", "main..HEAD"]))


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _pins() -> dict[str, str]:
    lines = [line for requirements in ENVIRONMENTS for line in requirements.read_text().splitlines() if "==" in line]
    return dict(line.split("==") for line in lines)


def _output(command: list[str]) -> str:
    try:
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
    except OSError:
        return ""
    # wrk and nginx tell their versions on standard error, and wrk as a failure.
    return (ended.stdout or ended.stderr).strip()
