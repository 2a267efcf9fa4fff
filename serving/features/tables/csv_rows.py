"""Rows out of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from serving.errors import BadRequest
from serving.features.tables.chunk import Chunk, Pending
from serving.features.tables.row_parser import BadRow


class CsvRows:
    """One open CSV file, whose first line names the columns.

    Raises `BadRequest` from the constructor where that line is none.
    """

    def __init__(self, path: Path) -> None:
        self.total = path.stat().st_size
        # Not the file's own position: a closed file has none, and progress is asked for at the end as well.
        self.done = 0
        self._raw = path.open("rb", buffering=0)
        # Spreadsheets put a mark in front, which is no part of the first column's name. What is no UTF-8 is told with
        # its row, not by a failure somewhere in the file.
        buffered = io.BufferedReader(self._raw, 1 << 18)
        self._text = io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._lines = csv.reader(self._text, strict=True)
        try:
            self.columns: Sequence[str] = [name.strip() for name in next(self._lines, [])]
        except csv.Error as error:
            self.close()
            raise BadRequest(f"line 1 is no CSV: {error}") from error

    def close(self) -> None:
        """Nothing more is read."""
        self._text.close()

    def chunks(self) -> Iterator[Chunk | BadRow]:
        """All rows, in the file's order; can be taken once."""
        pending = Pending()
        width = len(self.columns)
        with self._text:
            while True:
                try:
                    cells = next(self._lines, None)
                except csv.Error as error:
                    yield from pending.taken()
                    yield BadRow(self._lines.line_num, "", f"is no CSV: {error}", ())
                    continue
                if cells is None:
                    break
                if len(cells) == width:
                    pending.add(self._lines.line_num, cells)
                elif cells:
                    yield from pending.taken()
                    reason = f"has {len(cells)} cells, the header has {width}"
                    yield BadRow(self._lines.line_num, "", reason, cells)
                if pending.full:
                    self.done = self._raw.tell()
                    yield from pending.taken()
            self.done = self._raw.tell()
            yield from pending.taken()
