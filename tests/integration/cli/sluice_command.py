"""Runs the `sluice` command as a person does: a process of its own, no terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = (sys.executable, "-P", "-c", "from serving.cli.main import main; main()")


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    """This process's, without what would change the configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def sluice(*arguments: str, cwd: Path = ROOT, timeout_s: float = 60, **more: str) -> Ended:
    """Run it to its end."""
    ended = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def sluice_watched(*arguments: str, timeout_s: float = 60, **more: str) -> Ended:
    """Like `sluice`, with a terminal as its standard error."""
    ours, its = pty.openpty()
    running = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=ROOT,
        env=environment(TERM="xterm", **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=its,
        text=True,
    )
    os.close(its)
    seen = b""
    # A terminal whose other end is closed is an error, and not the end of a file.
    with suppress(OSError):
        while some := os.read(ours, 65_536):
            seen += some
    os.close(ours)
    out, _ = running.communicate(timeout=timeout_s)
    return Ended(running.returncode, out, seen.decode())
