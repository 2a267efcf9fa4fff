"""How a file's predictions end before they are done; what was answered is kept, and the same command goes on."""

from __future__ import annotations


class BulkStopped(Exception):
    """One clear line for the person; `unreachable` where nothing answered, `interrupted` where somebody stopped it."""

    def __init__(self, message: str, *, unreachable: bool = False, interrupted: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.unreachable = unreachable
        self.interrupted = interrupted
