"""Rows of a view out of a CSV, JSON Lines or Parquet file, as they are read: a file may be larger than the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from serving.errors import BadRequest
from serving.features.feature_view import FeatureView
from serving.features.store.redis_store import EntityRow
from serving.features.tables.block_packer import BlockPacker, PackedRows
from serving.features.tables.chunk import Chunk
from serving.features.tables.csv_rows import CsvRows
from serving.features.tables.json_rows import JsonRows
from serving.features.tables.parquet_rows import ParquetRows
from serving.features.tables.row_parser import BadRow, RowParser

_JSON_LINES = frozenset((".jsonl", ".ndjson"))
_PARQUET = frozenset((".parquet", ".pq"))


class Source(Protocol):
    """One open table; `done` of `total` was read, in bytes or rows."""

    columns: Sequence[str]
    total: int
    done: int

    def chunks(self) -> Iterator[Chunk | BadRow]:
        """All rows, in the file's order; can be taken once."""

    def close(self) -> None:
        """Nothing more is read."""


class RowFile:
    """One open table of a view; its rows can be taken once, in one of two ways."""

    def __init__(self, source: Source, view: FeatureView, parser: RowParser) -> None:
        self._source = source
        self._parser = parser
        self._packer = BlockPacker(view, source.columns, parser)
        self.columns = source.columns
        self.total = source.total

    def done(self) -> int:
        """How far the file has been read, of `total`."""
        return self._source.done

    @property
    def rows(self) -> Iterator[EntityRow | BadRow]:
        """One by one."""
        for chunk in self._source.chunks():
            if isinstance(chunk, BadRow):
                yield chunk
                continue
            for line, cells in chunk.rows():
                yield self._parser.row(line, cells)

    def blocks(self, skip: int = 0) -> Iterator[PackedRows]:
        """As they are stored, in blocks; without the first `skip` rows, good and bad ones."""
        for chunk in self._source.chunks():
            if isinstance(chunk, BadRow):
                if skip:
                    skip -= 1
                else:
                    yield PackedRows([], [], [chunk])
                continue
            left = chunk.part(skip, len(chunk)) if skip else chunk
            skip -= len(chunk) - len(left)
            if len(left):
                yield self._packer.packed(left)


def open_rows(path: Path, view: FeatureView, event_time: str | None, now_s: float) -> RowFile:
    """The file's columns are the view's entity and features, in any order.

    `event_time` names a column with the time of each row's facts, ISO 8601 or seconds since 1970; without one they hold
    `now_s`.

    Raises:
        BadRequest: the file cannot be read, or its columns are not the view's.
    """
    try:
        source = _opened(path, view, event_time)
        try:
            return RowFile(source, view, _parser(source, view, event_time, now_s))
        except BadRequest:
            source.close()
            raise
    except BadRequest as refused:
        raise BadRequest(f"{path}: {refused.message}") from refused
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror or error}") from error


def _parser(source: Source, view: FeatureView, event_time: str | None, now_s: float) -> RowParser:
    if not source.columns:
        raise BadRequest("it is empty; the first line names the columns")
    return RowParser(view, source.columns, event_time, now_s)


def _opened(path: Path, view: FeatureView, event_time: str | None) -> Source:
    if path.suffix in _PARQUET:
        return ParquetRows(path)
    if path.suffix in _JSON_LINES:
        times = () if event_time is None else (event_time,)
        return JsonRows(path, [*view.entity, *(feature.name for feature in view.features), *times])
    return CsvRows(path)
