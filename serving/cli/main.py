"""The `sluice` command: runs a command, and turns what goes wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys

from serving.cli.failure import CommandFailed, ExitCode
from serving.errors import BadRequest, ConfigInvalid, ServingError


def main() -> None:
    """The console script; `SLUICE_DEBUG=1` shows where an error came from."""
    try:
        # Imported here, since this is most of the start: Ctrl-C meanwhile must not end in a traceback.
        from serving.cli.command_line import app

        sys.exit(app(prog_name="sluice", standalone_mode=False))
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except CommandFailed as failed:
        _end(failed, failed.message, failed.code)
    except ServingError as error:
        usage = isinstance(error, ConfigInvalid | BadRequest)
        _end(error, error.message, ExitCode.WRONG_USAGE if usage else ExitCode.FAILED)
    except Exception as error:  # noqa: BLE001 - the last resort: people see a sentence, not a stack
        _end_of_command_line(error)
        told = f"{type(error).__name__}: {error} (SLUICE_DEBUG=1 shows where it came from)"
        _end(error, told, ExitCode.FAILED)


def _end_of_command_line(error: Exception) -> None:
    """End where the command line itself cannot be read, or where Ctrl-C stopped a command.

    Told by their shape: the library's own classes live in a package that it keeps to itself.
    """
    if type(error).__name__ == "Abort":
        sys.exit(ExitCode.INTERRUPTED)
    context = getattr(error, "ctx", None)
    if context is None:
        return
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{context.get_help()}\n")
        sys.exit(ExitCode.WRONG_USAGE)
    told = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")  # type: ignore[attr-defined] # see above
    _end(error, f"{told}; `{context.command_path} -h` shows how", ExitCode.WRONG_USAGE)


def _end(error: Exception, message: str, code: ExitCode) -> None:
    if os.environ.get("SLUICE_DEBUG", "") not in ("", "0"):
        import traceback

        traceback.print_exception(error)
    sys.stderr.write(f"sluice: {message}\n")
    sys.exit(int(code))
