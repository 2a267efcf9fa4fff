"""Rows out of a JSON Lines file: an object a line, by the names of its columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from serving.features.tables.chunk import Chunk, Pending
from serving.features.tables.row_parser import BadRow
from serving.features.value_words import kind_of, shown

# What is longer is no row, and would only take memory.
_LONGEST_LINE = 1 << 20
_SHOWN = 1_000


class JsonRows:
    """One open JSON Lines file. A field that is left out is one without a value; no other fields may be there."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.total = path.stat().st_size
        self.done = 0
        self.columns = columns
        self._known = dict.fromkeys(columns)
        self._file = path.open("rb")

    def close(self) -> None:
        """Nothing more is read."""
        self._file.close()

    def chunks(self) -> Iterator[Chunk | BadRow]:
        """All rows, in the file's order; can be taken once."""
        pending = Pending()
        number = 0
        with self._file:
            while line := self._file.readline(_LONGEST_LINE):
                number += 1
                self.done += len(line)
                bad = self._take(number, line, pending)
                if bad is not None:
                    yield from pending.taken()
                    yield bad
                if pending.full:
                    yield from pending.taken()
            yield from pending.taken()

    def _take(self, number: int, line: bytes, pending: Pending) -> BadRow | None:
        """The row is pending, or bad; nothing of a line with nothing."""
        if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            self._skip_rest()
            return _bad(number, line, f"is longer than {_LONGEST_LINE >> 20} MiB")
        if not line.strip():
            return None
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            return _bad(number, line, f"is no JSON: {error}")
        if type(row) is not dict:
            return _bad(number, line, f"must be an object, got {kind_of(row)}")
        if not row.keys() <= self._known.keys():
            strange = next(name for name in row if name not in self._known)
            return _bad(number, line, f"has the unknown field {shown(strange)}; known are {', '.join(self.columns)}")
        pending.add(number, [row.get(name) for name in self.columns])
        return None

    def _skip_rest(self) -> None:
        while rest := self._file.readline(_LONGEST_LINE):
            self.done += len(rest)
            if rest.endswith(b"\n"):
                return


def _bad(number: int, line: bytes, reason: str) -> BadRow:
    text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
    return BadRow(number, "", reason, (text if len(line) < _LONGEST_LINE else text[:_SHOWN] + "...",))
