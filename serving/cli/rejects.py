"""The file of a table's rows that were not taken, beside the table."""

from __future__ import annotations

import csv
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO

from serving.cli.failure import CommandFailed
from serving.features.tables.row_parser import REJECT_COLUMNS, BadRow

_BEGINNING = ",".join(REJECT_COLUMNS).encode()


@dataclass(slots=True)
class Rejects:
    """Made with the first row that was not taken; it is loaded as the table was, once its rows are mended."""

    path: Path
    columns: tuple[str, ...]
    _kept_bytes: int = 0
    _files: ExitStack = field(default_factory=ExitStack)
    _file: TextIO | None = None

    def begin(self, kept_bytes: int) -> None:
        """Go on after so many bytes of an interrupted load's file; without any, that of an earlier load is taken away.

        What is at the path and is no rejects file stays until there is a row to write.

        Raises:
            CommandFailed: it cannot be taken away.
        """
        self._kept_bytes = kept_bytes
        try:
            if not kept_bytes and self.path.is_file() and _begins_as_one(self.path):
                self.path.unlink()
        except OSError as error:
            raise self._not_written(error) from error

    def add(self, bad: BadRow) -> None:
        """Write the row, and why, such that it can be mended and loaded.

        Raises:
            CommandFailed: the file cannot be written.
        """
        try:
            if self._file is None:
                self._file = self._opened()
            csv.writer(self._file).writerow((bad.line, bad.column, bad.reason, *map(_as_text, bad.cells)))
        except OSError as error:
            raise self._not_written(error) from error

    def bytes_written(self) -> int:
        """How long the file is, with everything that was added.

        Raises:
            CommandFailed: the file cannot be written.
        """
        if self._file is None:
            return self._kept_bytes
        try:
            self._file.flush()
            return os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise self._not_written(error) from error

    def close(self) -> None:
        """Everything is on disk."""
        self._files.close()

    def _opened(self) -> TextIO:
        if self._kept_bytes:
            os.truncate(self.path, self._kept_bytes)
        # Bytes that are no UTF-8 go back as they came.
        mode: Literal["a", "w"] = "a" if self._kept_bytes else "w"
        opened = self.path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")
        file = self._files.enter_context(opened)
        if not self._kept_bytes:
            csv.writer(file).writerow((*REJECT_COLUMNS, *self.columns))
        return file

    def _not_written(self, error: OSError) -> CommandFailed:
        return CommandFailed(f"{self.path} cannot be written: {error.strerror}; name another --rejects")


def _begins_as_one(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_BEGINNING)) == _BEGINNING


def _as_text(cell: object) -> object:
    """Ids that a Parquet file has as bytes, as they are stored."""
    return cell.decode(errors="surrogateescape") if isinstance(cell, bytes) else cell
