"""The processes of a running session by what they do, found by descent and by name; and what lives in its folder."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.e2e.sluice_up import SluiceUp

REPLICA = "ray::ServeReplica:"
WORKER = "serving.processes.gateway_worker"
CONTROL = "control.sock"
CONTROL_APP = "serving.processes.control_worker"
RAYLET = "--raylet_socket_name="
GCS = "/gcs_server "
GUARDIAN = "serving.processes.guardian"

PATIENCE_S = 60.0


def parts(session: SluiceUp, words: str) -> list[psutil.Process]:
    """Processes of the session that live and whose command line has these words."""
    found = []
    for one in session.look():
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.status() != psutil.STATUS_ZOMBIE and words in " ".join(one.cmdline()):
                found.append(one)
    return found


def until(holds: Callable[[], object], what: str, within_s: float = PATIENCE_S) -> None:
    """Look again and again until it holds."""
    ends = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)


def touching(folder: Path) -> list[str]:
    """Processes that work in the folder or hold a file of it, whatever they did to their name and environment."""
    others = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()]
    return [f"{entry.name} {_said(entry / 'cmdline')}" for entry in others if _touches(entry, str(folder))]


def _touches(process: Path, folder: str) -> bool:
    try:
        links = [process / "cwd", *(process / "fd").iterdir()]
    except OSError:
        return False
    for link in links:
        with contextlib.suppress(OSError):
            if os.readlink(link).startswith(folder):  # noqa: PTH115 - "(deleted)" may follow, which is no path
                return True
    return False


def _said(path: Path) -> str:
    try:
        return path.read_text().replace("\0", " ")[:120]
    except OSError:
        return "?"
