"""How a command ends when it is not done: the exit codes, and the two failures that only a command can have."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What scripts may rely on."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    NOT_REACHABLE = 3
    NOT_PROMOTED = 4
    # What a shell reports of a program that Ctrl-C ended.
    INTERRUPTED = 130


class CommandFailed(Exception):
    """Ends the command with one clear line on standard error."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def wrong_usage(message: str) -> CommandFailed:
    """The caller must change the command line."""
    return CommandFailed(message, ExitCode.WRONG_USAGE)


def not_reachable(message: str) -> CommandFailed:
    """Nothing answers where the command looked."""
    return CommandFailed(message, ExitCode.NOT_REACHABLE)
