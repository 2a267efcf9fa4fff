"""The file of a table's rows that were not taken, beside the table."""

from __future__ import annotations

import csv
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO

from serving.cli.failure import CommandFailed
from serving.features.tables.row_parser import BadRow


@dataclass(slots=True)
class Rejects:
    """Made with the first row; one of an interrupted load is cut to `kept_bytes`, after which it goes on."""

    path: Path
    columns: tuple[str, ...]
    kept_bytes: int = 0
    _files: ExitStack = field(default_factory=ExitStack)
    _file: TextIO | None = None

    def add(self, bad: BadRow) -> None:
        """Write the row, and why, such that it can be mended and loaded.

        Raises:
            CommandFailed: the file cannot be written.
        """
        try:
            if self._file is None:
                self._file = self._opened()
            csv.writer(self._file).writerow((bad.line, bad.column, bad.reason, *bad.cells))
        except OSError as error:
            raise self._not_written(error) from error

    def bytes_written(self) -> int:
        """How long the file is, with everything that was added.

        Raises:
            CommandFailed: the file cannot be written.
        """
        if self._file is None:
            return self.kept_bytes
        try:
            self._file.flush()
            return os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise self._not_written(error) from error

    def close(self) -> None:
        """Everything is on disk."""
        self._files.close()

    def _opened(self) -> TextIO:
        if self.kept_bytes:
            os.truncate(self.path, self.kept_bytes)
        # Bytes that are no UTF-8 go back as they came.
        mode: Literal["a", "w"] = "a" if self.kept_bytes else "w"
        opened = self.path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")
        file = self._files.enter_context(opened)
        if not self.kept_bytes:
            csv.writer(file).writerow(("line", "column", "reason", *self.columns))
        return file

    def _not_written(self, error: OSError) -> CommandFailed:
        return CommandFailed(f"{self.path} cannot be written: {error.strerror}; name another --rejects")
