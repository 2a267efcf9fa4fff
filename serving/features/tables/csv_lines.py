"""Lines of a CSV file as its rows are made of them: those of a row that was none are given once more."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import TextIO

# What is longer is no row, and would only take memory.
LONGEST_ROW = 1 << 20
_SHOWN = 1_000
_ENDS = ("\r", "\n")


class CsvLines:
    """What a `csv.reader` reads: `row` are the lines since the last `begin`, the first of which has the `number`.

    `given_again` are the characters that were given once more so far.
    """

    def __init__(self, text: TextIO) -> None:
        self.row: list[str] = []
        self.number = 1
        self.given_again = 0
        self._text = text
        self._again: deque[str] = deque()

    def __iter__(self) -> Iterator[str]:
        """The lines that follow; an iterator that has ended, or has raised, is followed by another one.

        Raises:
            csv.Error: a row has as many characters as none may have.
        """
        # Local names, and little that is done for each line: there may be millions.
        row, again, readline, size = self.row, self._again, self._text.readline, 0
        while line := again.popleft() if again else readline(LONGEST_ROW):
            size = size + len(line) if row else len(line)
            row.append(line)
            if size >= LONGEST_ROW:
                self._end(line)
                raise csv.Error(f"a row of {LONGEST_ROW >> 20} MiB or more")
            yield line

    def begin(self) -> None:
        """The row was taken: what comes is the next one."""
        self.number += len(self.row)
        self.row.clear()

    def first_alone(self) -> tuple[int, str]:
        """The row was none: its first line, with its number; those behind it are given once more."""
        number, first = self.number, self.row[0]
        behind = self.row[1:]
        self.given_again += sum(map(len, behind))
        self._again.extendleft(reversed(behind))
        del self.row[1:]
        self.begin()
        return number, first.rstrip("\r\n") if len(first) < LONGEST_ROW else first[:_SHOWN] + "..."

    def each_alone(self) -> Iterator[tuple[int, str]]:
        """The lines that were to be given once more, each a row of its own, with their numbers."""
        while self._again:
            number, line = self.number, self._again.popleft()
            self.number += 1
            yield number, line

    def _end(self, line: str) -> None:
        """Read a line that is longer than what was read of it to its end, which it has when it is given once more."""
        if len(line) == LONGEST_ROW and not line.endswith(_ENDS):
            self.row[-1] = f"{line}\n"
            while line and not line.endswith(_ENDS):
                line = self._text.readline(LONGEST_ROW)
