"""Command lines that end before their command begins, each in a process of its own that is forked off one of `sluice`.

Nearly all that such a process does is to import the command line, which this does once for all of them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any, BinaryIO

import serving.cli.command_line  # noqa: F401 - what `main` imports late, and nothing else
from serving.cli.main import main


def run(typed: str) -> dict[str, Any]:
    """What it printed, and its exit code."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            _be(typed, out, err)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return {"returncode": code, "stdout": _text(out), "stderr": _text(err)}


def _be(typed: str, out: BinaryIO, err: BinaryIO) -> None:
    """Be that process, to its end."""
    code: object = 1
    try:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.argv = ["sluice", *typed.split()]
        main()
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode()


if __name__ == "__main__":
    sys.stdout.write(json.dumps([run(typed) for typed in json.load(sys.stdin)]))
