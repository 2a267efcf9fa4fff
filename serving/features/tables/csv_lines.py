"""Lines of a CSV file as its rows are made of them: those of a row that was none are given once more."""

from __future__ import annotations

import csv
from collections import deque
from typing import Self, TextIO

# What is longer is no row, and would only take memory.
LONGEST_ROW = 1 << 20
_SHOWN = 1_000


class CsvLines:
    """What a `csv.reader` reads: `row` are the lines since the last `begin`, the first of which has the `number`.

    Raises `csv.Error` where they have as many characters as no row may have.
    """

    def __init__(self, text: TextIO) -> None:
        self.row: list[str] = []
        self.number = 1
        self._text = text
        self._again: deque[str] = deque()
        self._left = LONGEST_ROW

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self._again:
            line = self._again.popleft()
        elif not (line := self._text.readline(LONGEST_ROW)):
            raise StopIteration
        elif len(line) == LONGEST_ROW:
            self._skip_rest(line)
        self.row.append(line)
        self._left -= len(line)
        if self._left <= 0:
            raise csv.Error(f"a row of {LONGEST_ROW >> 20} MiB or more")
        return line

    def begin(self) -> None:
        """The row was taken: what comes is the next one."""
        self.number += len(self.row)
        self.row = []
        self._left = LONGEST_ROW

    def first_alone(self) -> tuple[int, str]:
        """The row was none: its first line, with its number; those behind it are given once more."""
        number, first = self.number, self.row[0]
        self._again.extendleft(reversed(self.row[1:]))
        self.row = self.row[:1]
        self.begin()
        return number, first.rstrip("\r\n") if len(first) < LONGEST_ROW else first[:_SHOWN] + "..."

    def _skip_rest(self, line: str) -> None:
        while line and not line.endswith(("\r", "\n")):
            line = self._text.readline(LONGEST_ROW)
