"""The `sluice` command: runs a command, and turns what goes wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys

from serving.cli.failure import CommandFailed, ExitCode
from serving.errors import BadRequest, ConfigInvalid, ServingError

# What a shell reports of a program that Ctrl-C ended.
_INTERRUPTED = 130


def main() -> None:
    """The console script; `SLUICE_DEBUG=1` shows where an error came from."""
    try:
        # Imported here, since this is most of the start: Ctrl-C meanwhile must not end in a traceback.
        from serving.cli.command_line import app

        app(prog_name="sluice")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except CommandFailed as failed:
        _end(failed, failed.message, failed.code)
    except ServingError as error:
        usage = isinstance(error, ConfigInvalid | BadRequest)
        _end(error, error.message, ExitCode.WRONG_USAGE if usage else ExitCode.FAILED)
    except Exception as error:  # noqa: BLE001 - the last resort: people see a sentence, not a stack
        told = f"{type(error).__name__}: {error} (SLUICE_DEBUG=1 shows where it came from)"
        _end(error, told, ExitCode.FAILED)


def _end(error: Exception, message: str, code: ExitCode) -> None:
    if os.environ.get("SLUICE_DEBUG", "") not in ("", "0"):
        import traceback

        traceback.print_exception(error)
    sys.stderr.write(f"sluice: {message}\n")
    sys.exit(int(code))
