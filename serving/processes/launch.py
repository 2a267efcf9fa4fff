"""`python -m serving.processes.launch PARENT PROGRAM ARGUMENTS...`: become a program that dies with its parent."""

from __future__ import annotations

import os
import sys

from serving.processes.death import die_with


def main(arguments: list[str]) -> None:
    """Replace this process by the program; the death signal stays set across execve."""
    die_with(int(arguments[0]))
    os.execv(arguments[1], arguments[1:])  # noqa: S606 - a program of our own choice, without a shell


if __name__ == "__main__":
    main(sys.argv[1:])
