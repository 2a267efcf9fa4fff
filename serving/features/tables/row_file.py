"""Rows of a view out of a CSV or Parquet file, as they are read: a file may be larger than the memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import BadRequest
from serving.features.feature_view import FeatureView
from serving.features.store.redis_store import EntityRow
from serving.features.tables.row_parser import BadRow, RowParser

_ROWS_AT_ONCE = 10_000


Parser = Callable[[Sequence[str]], RowParser]


@dataclass(frozen=True, slots=True)
class RowFile:
    """`rows` can be taken once; `done` tells how far that has come, of `total` (bytes of CSV, rows of Parquet)."""

    columns: Sequence[str]
    rows: Iterator[EntityRow | BadRow]
    total: int
    done: Callable[[], int]


def open_rows(path: Path, view: FeatureView, event_time: str | None, now_s: float) -> RowFile:
    """The file's columns are the view's entity and features, in any order.

    `event_time` names a column with the time of each row's facts, ISO 8601 or seconds since 1970; without one they hold
    `now_s`.

    Raises:
        BadRequest: the file cannot be read, or its columns are not the view's.
    """
    try:
        table = _ParquetTable(path) if path.suffix == ".parquet" else _CsvTable(path)
        return table.open(lambda columns: RowParser(view, columns, event_time, now_s))
    except BadRequest as refused:
        raise BadRequest(f"{path}: {refused.message}") from refused
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror or error}") from error


class _CsvTable:
    """One open CSV file."""

    def __init__(self, path: Path) -> None:
        self._size = path.stat().st_size
        self._raw = path.open("rb", buffering=0)
        # Spreadsheets put a mark in front, which is no part of the first column's name. What is no UTF-8 is told with
        # its row, not by a failure somewhere in the file.
        buffered = io.BufferedReader(self._raw)
        self._text = io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._lines = csv.reader(self._text, strict=True)
        # Not the file's own position: a closed file has none, and progress is asked for at the end as well.
        self._at = 0

    def open(self, parser: Parser) -> RowFile:
        try:
            columns = [name.strip() for name in next(self._lines, [])]
            return RowFile(columns, self._rows(_parser_of(columns, parser)), self._size, lambda: self._at)
        except csv.Error as error:
            self._text.close()
            raise BadRequest(f"line 1 is no CSV: {error}") from error
        except BadRequest:
            self._text.close()
            raise

    def _rows(self, parser: RowParser) -> Iterator[EntityRow | BadRow]:
        with self._text:
            while True:
                try:
                    cells = next(self._lines, None)
                except csv.Error as error:
                    yield BadRow(self._lines.line_num, "", f"is no CSV: {error}", ())
                    continue
                if cells is None:
                    return
                self._at = self._raw.tell()
                if cells:
                    yield parser.row(self._lines.line_num, cells)


def _parser_of(columns: Sequence[str], parser: Parser) -> RowParser:
    if not columns:
        raise BadRequest("it is empty; the first line names the columns")
    return parser(columns)


class _ParquetTable:
    """One open Parquet file."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra, and a large one
            import pyarrow.parquet as pq  # noqa: PLC0415 - see above
        except ImportError as error:
            raise BadRequest(
                "reading Parquet needs pyarrow: pip install 'sluice-gateway[parquet]', or load CSV"
            ) from error
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise BadRequest(f"it is no Parquet: {error}") from error
        self._path = path
        self._at = 0

    def open(self, parser: Parser) -> RowFile:
        columns = list(self._file.schema_arrow.names)
        try:
            parse = _parser_of(columns, parser)
        except BadRequest:
            self._file.close()
            raise
        return RowFile(columns, self._rows(parse), self._file.metadata.num_rows, lambda: self._at)

    def _rows(self, parser: RowParser) -> Iterator[EntityRow | BadRow]:
        with self._file:
            for cells in self._cells():
                self._at += 1
                # As in CSV, where the header is line 1.
                yield parser.row(self._at + 1, cells)

    def _cells(self) -> Iterator[tuple[object, ...]]:
        batches = self._file.iter_batches(_ROWS_AT_ONCE)
        while True:
            try:
                batch = next(batches, None)
                columns = [] if batch is None else [_cells_of(column) for column in batch.columns]
            except (OSError, ValueError) as error:
                # Pages are read as they are needed, so what is broken in the middle is found there.
                raise BadRequest(f"{self._path}: row {self._at + 1} cannot be read: {error}") from error
            if batch is None:
                return
            yield from zip(*columns, strict=True)


def _cells_of(column: Any) -> list[object]:  # noqa: ANN401 - pyarrow's, which is imported where it is needed
    """As Python has them; text where Python has no such value."""
    try:
        cells: list[object] = column.to_pylist()
    except (ValueError, OverflowError):
        # Times to the nanosecond, as pandas writes them, and years that a calendar does not know.
        cells = column.cast("string").to_pylist()
    return cells
