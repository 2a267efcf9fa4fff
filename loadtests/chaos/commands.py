"""The `sluice` command for what has one."""

from __future__ import annotations

import subprocess
import sys

from loadtests.chaos.session import NotDone


def sluice(*arguments: str) -> str:
    """What it printed.

    Raises:
        NotDone: it ended with another exit code than 0.
    """
    program = [sys.executable, "-c", "from serving.cli.main import main; main()", *arguments]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if ended.returncode:
        raise NotDone((ended.stderr or ended.stdout).strip())
    return ended.stdout.strip()
