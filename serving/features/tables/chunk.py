"""Rows of a table that were read together, before anybody judged them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# Read, packed and sent at once.
ROWS_A_CHUNK = 4_096


@dataclass(frozen=True, slots=True)
class Chunk:
    """`lines` says where each row stands; `columns` are lists or NumPy arrays, as long, in the table's order."""

    lines: Sequence[int]
    columns: Sequence[Any]

    def __len__(self) -> int:
        return len(self.lines)

    def part(self, first: int, end: int) -> Chunk:
        """The rows from `first` to before `end`."""
        return Chunk(self.lines[first:end], [column[first:end] for column in self.columns])

    def rows(self) -> Iterator[tuple[int, tuple[object, ...]]]:
        """The line and the cells of each row, as Python has them."""
        cells = [column if isinstance(column, list) else column.tolist() for column in self.columns]
        return zip(self.lines, zip(*cells, strict=True), strict=True)


class Pending:
    """Rows that are read one by one, until there are enough of them."""

    def __init__(self) -> None:
        self._lines: list[int] = []
        self._rows: list[Sequence[object]] = []

    @property
    def full(self) -> bool:
        """It is time to take them."""
        return len(self._rows) >= ROWS_A_CHUNK

    def add(self, line: int, cells: Sequence[object]) -> None:
        """One more; all have as many cells."""
        self._lines.append(line)
        self._rows.append(cells)

    def taken(self) -> Iterator[Chunk]:
        """What there is, at most one chunk, which is pending no longer."""
        lines, rows = self._lines, self._rows
        self._lines, self._rows = [], []
        if rows:
            yield Chunk(lines, [list(column) for column in zip(*rows, strict=True)])
