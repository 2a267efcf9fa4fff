"""Rows of a table packed many at a time; those that cannot be taken are found and told one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.features.feature_view import DTYPES, FeatureView
from serving.features.keys import prefix, row_key
from serving.features.packed import HEAD_BYTES, RowLayout
from serving.features.tables.chunk import Chunk
from serving.features.tables.plain_cells import feature_column, ids
from serving.features.tables.row_parser import BadRow, RowParser

# Rows among which something is wrong are halved, so to say, in so many parts: few enough tries where much is wrong.
_PARTS = 8
_SINGLY = 16


class PackedRows(NamedTuple):
    """Rows as they are stored, each with its key, and those that cannot be taken."""

    keys: list[bytes]
    rows: list[bytes]
    bad: list[BadRow]


class BlockPacker:
    """For the tables with these columns, which `parser` knows as well."""

    def __init__(self, view: FeatureView, columns: Sequence[str], parser: RowParser) -> None:
        place = {name: position for position, name in enumerate(columns)}
        self._view = view
        self._layout = RowLayout(view)
        self._start = prefix(view)
        self._entity = [place[name] for name in view.entity]
        self._features = [(one, place[one.name], np.dtype("<" + DTYPES[one.dtype])) for one in view.features]
        self._parser = parser

    def packed(self, chunk: Chunk) -> PackedRows:
        """All of them, in their order; each by itself where they are not all plainly well-formed."""
        done = PackedRows([], [], [])
        pending = [chunk]
        while pending:
            some = pending.pop()
            try:
                keys, rows = self._keys(some), self._rows(some)
            except (ValueError, TypeError, OverflowError):
                if len(some) <= _SINGLY:
                    self._singly(some, done)
                    continue
                size = -(-len(some) // _PARTS)
                pending += reversed([some.part(at, at + size) for at in range(0, len(some), size)])
            else:
                done.keys.extend(keys)
                done.rows.extend(rows)
        return done

    def _keys(self, chunk: Chunk) -> list[bytes]:
        start = self._start
        parts = [ids(chunk.columns[position]) for position in self._entity]
        if len(parts) == 1:
            return [start + part for part in parts[0]]
        return [start + b"".join(values) for values in zip(*parts, strict=True)]

    def _rows(self, chunk: Chunk) -> list[bytes]:
        """As `RowLayout.pack` packs each."""
        layout, count = self._layout, len(chunk)
        rows = np.empty((count, layout.size), np.uint8)
        rows[:, : len(layout.head)] = np.frombuffer(layout.head, np.uint8)
        rows[:, len(layout.head) : HEAD_BYTES] = _bytes(self._times_ms(chunk))
        present = np.empty((count, len(self._features)), np.bool_)
        at = layout.values_at
        for number, (feature, position, dtype) in enumerate(self._features):
            values, present[:, number] = feature_column(feature, chunk.columns[position])
            rows[:, at : at + dtype.itemsize] = _bytes(values.astype(dtype))
            at += dtype.itemsize
        rows[:, HEAD_BYTES : layout.values_at] = np.packbits(present, axis=1, bitorder="little")
        data, size = rows.tobytes(), layout.size
        return [data[at : at + size] for at in range(0, count * size, size)]

    def _times_ms(self, chunk: Chunk) -> npt.NDArray[np.int64]:
        times = self._parser.event_times_s(chunk.columns, len(chunk))
        # Cut off, as `int` does.
        return (np.array(times, np.float64) * 1000).astype("<i8")

    def _singly(self, chunk: Chunk, done: PackedRows) -> None:
        for line, cells in chunk.rows():
            row = self._parser.row(line, cells)
            if isinstance(row, BadRow):
                done.bad.append(row)
                continue
            done.keys.append(row_key(self._view, row.entity))
            done.rows.append(self._layout.pack(row.values, row.event_time_s))


def _bytes(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The bytes of each value, in rows."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), values.itemsize)
