"""Rows out of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from serving.errors import BadRequest
from serving.features.tables.chunk import Chunk, Pending
from serving.features.tables.csv_lines import CsvLines
from serving.features.tables.row_parser import REJECT_COLUMNS, BadRow

# A file may be read so many times over, and so many characters more, in search of rows behind quotes that are not
# closed. A file in which every line has one would be read again up to the longest row for each of its lines.
_TIMES_OVER = 4
_MORE = 16 << 20


class CsvRows:
    """One open CSV file, whose first line names the columns; those that a rejects file puts in front are left out.

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
        self._lines = CsvLines(self._text)
        self._cells = csv.reader(self._lines, strict=True)
        try:
            names = [name.strip() for name in next(self._cells, [])]
        except csv.Error as error:
            self.close()
            raise BadRequest(f"line 1 is no CSV: {error}") from error
        self._lines.begin()
        self._told = next((at for at, name in enumerate(names) if name not in REJECT_COLUMNS), len(names))
        self.columns: Sequence[str] = names[self._told :]

    def close(self) -> None:
        """Nothing more is read."""
        self._text.close()

    def chunks(self) -> Iterator[Chunk | BadRow]:
        """All rows, in the file's order; can be taken once."""
        pending = Pending()
        with self._text:
            for row in self._rows():
                if isinstance(row, BadRow):
                    yield from pending.taken()
                    yield row
                    continue
                pending.add(*row)
                if pending.full:
                    self.done = self._raw.tell()
                    yield from pending.taken()
            self.done = self._raw.tell()
            yield from pending.taken()

    def _rows(self) -> Iterator[tuple[int, Sequence[str]] | BadRow]:
        """A quote that is not closed reaches over the rows behind it: of what is no row the first line alone is bad."""
        lines, width = self._lines, len(self.columns)
        while True:
            try:
                cells = next(self._cells, None)
            except csv.Error as error:
                yield from self._unclosed(f"is no CSV: {error}")
                continue
            if cells is None:
                return
            if len(cells) == self._told + width:
                yield lines.number, cells[self._told :] if self._told else cells
            elif cells:
                if len(lines.row) > 1:
                    yield from self._unclosed(self._miscounted(cells))
                    continue
                yield BadRow(lines.number, "", self._miscounted(cells), cells[self._told :])
            lines.begin()

    def _unclosed(self, reason: str) -> Iterator[tuple[int, Sequence[str]] | BadRow]:
        yield self._first_alone(reason)
        if self._lines.given_again > _TIMES_OVER * self._raw.tell() + _MORE:
            for number, line in self._lines.each_alone():
                yield from self._alone(number, line)

    def _alone(self, number: int, line: str) -> Iterator[tuple[int, Sequence[str]] | BadRow]:
        try:
            cells = next(csv.reader([line], strict=True), [])
        except csv.Error as error:
            yield BadRow(number, "", f"is no CSV: {error}", (line.rstrip("\r\n"),))
            return
        if len(cells) == self._told + len(self.columns):
            yield number, cells[self._told :]
        elif cells:
            yield BadRow(number, "", self._miscounted(cells), cells[self._told :])

    def _miscounted(self, cells: Sequence[str]) -> str:
        return f"has {max(0, len(cells) - self._told)} cells, the header has {len(self.columns)}"

    def _first_alone(self, reason: str) -> BadRow:
        why = reason if len(self._lines.row) == 1 else f"{reason}, after a quote that is not closed on its line"
        number, line = self._lines.first_alone()
        self._cells = csv.reader(self._lines, strict=True)
        return BadRow(number, "", why, (line,))
