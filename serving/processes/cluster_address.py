"""The file in a session's run directory that says where its Ray cluster is, for gateways that join it."""

from __future__ import annotations

import os
from pathlib import Path

_KEPT_IN = "ray-address"


def tell(run_dir: Path, address: str) -> None:
    """Say that the cluster is up; whoever reads meanwhile sees the old file or the new one, never half of one."""
    half = run_dir / f"{_KEPT_IN}.{os.getpid()}"
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(address)
    half.replace(run_dir / _KEPT_IN)


def forget(run_dir: Path) -> None:
    """Say that there is none: joining one that has ended takes long to fail."""
    (run_dir / _KEPT_IN).unlink(missing_ok=True)


def read(run_dir: Path) -> str:
    """Host and port of the head; "" while there is none."""
    try:
        return (run_dir / _KEPT_IN).read_text()
    except FileNotFoundError:
        return ""
