"""Tables as blocks of rows in the file's order: Parquet, CSV and JSON Lines, however large."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from serving.bulk.column_fit import Column, Kind
from serving.bulk.stopped import BulkStopped
from serving.bulk.values import Bad
from serving.errors import BadRequest

# What is read, parsed and held at once; a few of them are in memory.
BLOCK_BYTES = 4 << 20
BLOCK_ROWS = 8_192
_FIRST_BYTES = 1 << 20
PARQUET = (".parquet", ".pq")
CSV = (".csv",)
JSON_LINES = (".jsonl", ".ndjson")


class Block(NamedTuple):
    """Rows that follow one another; `bad` are those that are none (lines that are no JSON), with the reason."""

    rows: pa.RecordBatch
    bad: Bad


class TableInput(Protocol):
    """A table that can be read again and again."""

    @property
    def columns(self) -> Sequence[Column]:
        """All of them, in the file's order."""

    @property
    def rows(self) -> int | None:
        """How many there are, where the file tells."""

    def blocks(self, skip: int, names: Sequence[str]) -> Iterator[Block]:
        """All rows after the first `skip`, with these columns."""

    def share(self) -> float:
        """How much of the file was read, from 0 to 1."""


def suffix_of(path: Path, option: str) -> str:
    """The suffix that tells the format.

    Raises:
        BadRequest: it is none that is read and written here.
    """
    suffix = path.suffix.lower()
    if suffix in (*PARQUET, *CSV, *JSON_LINES):
        return suffix
    raise BadRequest(f"{option} {path}: the name must end with .parquet, .csv or .jsonl, which tells the format")


def open_table(path: Path) -> TableInput:
    """The table of a file.

    Raises:
        BadRequest: it cannot be read, or is no table.
    """
    suffix = suffix_of(path, "--file")
    try:
        if not path.is_file():
            raise BadRequest(f"{path} cannot be read: {'it is no file' if path.exists() else 'No such file'}")
        if suffix in PARQUET:
            return ParquetTable(path)
        return CsvTable(path) if suffix in CSV else JsonLinesTable(path)
    except (OSError, pa.ArrowException, csv.Error, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} cannot be read: {_why(error)}") from error


class ParquetTable:
    """Row groups are read page by page: one of a gigabyte takes no more memory than a small one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._opened() as file:
            facts = file.metadata
            self.rows: int | None = facts.num_rows
            self.columns = [Column(one.name, _kind(one.type)) for one in file.schema_arrow]
            self._group_rows = [facts.row_group(group).num_rows for group in range(facts.num_row_groups)]
            size = sum(facts.row_group(group).total_byte_size for group in range(facts.num_row_groups))
        # Dictionaries and runs unfold: eight times what the pages say is still bounded.
        self._at_once = max(1, min(BLOCK_ROWS, BLOCK_BYTES * facts.num_rows // max(1, size)))
        self._read = 0

    def blocks(self, skip: int, names: Sequence[str]) -> Iterator[Block]:
        """See TableInput."""
        groups, before = _groups_after(self._group_rows, skip)
        self._read = before
        with _told(self._path, lambda: self._read), self._opened() as file:
            for batch in file.iter_batches(self._at_once, row_groups=groups, columns=list(names)):
                start, self._read = self._read, self._read + batch.num_rows
                if self._read > skip:
                    yield Block(batch.slice(max(0, skip - start)).select(list(names)), {})

    def share(self) -> float:
        """See TableInput."""
        return self._read / self.rows if self.rows else 1.0

    def _opened(self) -> pq.ParquetFile:
        return pq.ParquetFile(self._path, buffer_size=1 << 20, pre_buffer=False)


def _groups_after(rows: Sequence[int], skip: int) -> tuple[list[int], int]:
    """The row groups that hold rows after the first `skip`, and how many rows stand before them."""
    before, first = 0, 0
    while first < len(rows) and before + rows[first] <= skip:
        before += rows[first]
        first += 1
    return list(range(first, len(rows))), before


class CsvTable:
    """Every cell is text, since CSV knows nothing else; what the model takes is read as what it takes."""

    rows: int | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = max(1, path.stat().st_size)
        with path.open(encoding="utf-8-sig", newline="") as file:
            self._names = next(csv.reader(file, strict=True), [])
        if not self._names:
            raise BadRequest(f"{path} is empty; the first line names the columns")
        self._read = 0
        first = next(self._batches(self._names), None)
        self._read = 0
        self.columns = [Column(name, _text_kind(first, place)) for place, name in enumerate(self._names)]

    def blocks(self, skip: int, names: Sequence[str]) -> Iterator[Block]:
        """See TableInput."""
        at = 0
        self._read = 0
        with _told(self._path, lambda: at):
            for batch in self._batches(names):
                start, at = at, at + batch.num_rows
                if at > skip:
                    yield Block(batch.slice(max(0, skip - start)), {})

    def share(self) -> float:
        """See TableInput."""
        return min(1.0, self._read / self._size)

    def _batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with self._path.open("rb") as file:
            reader = pacsv.open_csv(
                pa.PythonFile(file, "r"),
                pacsv.ReadOptions(block_size=_FIRST_BYTES),
                pacsv.ParseOptions(newlines_in_values=True),
                pacsv.ConvertOptions(
                    include_columns=list(names) or None,
                    column_types=dict.fromkeys(self._names, pa.string()),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
            for batch in reader:
                self._read = file.tell()
                yield batch


class JsonLinesTable:
    """One object a line; a list of one kind of values stays a list, any other nested value is its JSON as text."""

    rows: int | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = max(1, path.stat().st_size)
        self._read = 0
        with path.open("rb") as file:
            lines = file.readlines(_FIRST_BYTES)
        found = [row for row in map(_object, lines) if isinstance(row, dict)]
        names = list(dict.fromkeys(name for row in found for name in row))
        if not names:
            raise BadRequest(f'{path} has no line with a JSON object, such as {{"id": 1}}')
        batch = _batch(found, names)
        self.columns = [Column(one.name, _kind(one.type)) for one in batch.schema]

    def blocks(self, skip: int, names: Sequence[str]) -> Iterator[Block]:
        """See TableInput."""
        at, self._read = 0, 0
        with _told(self._path, lambda: at), self._path.open("rb") as file:
            while lines := file.readlines(_FIRST_BYTES):
                self._read = file.tell()
                full = [line for line in lines if not line.isspace()]
                start, at = at, at + len(full)
                if at > skip:
                    yield _parsed(full[max(0, skip - start) :], names)

    def share(self) -> float:
        """See TableInput."""
        return min(1.0, self._read / self._size)


def _parsed(lines: Sequence[bytes], names: Sequence[str]) -> Block:
    rows = [_object(line) for line in lines]
    bad = {place: row for place, row in enumerate(rows) if isinstance(row, str)}
    return Block(_batch([row if isinstance(row, dict) else {} for row in rows], names), bad)


def _object(line: bytes) -> dict[str, object] | str:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return f"is no JSON: {error}"
    return found if isinstance(found, dict) else "is no JSON object"


def _batch(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> pa.RecordBatch:
    if not names:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([])))
    return pa.RecordBatch.from_arrays([_column([row.get(name) for row in rows]) for name in names], list(names))


def _column(cells: list[Any]) -> pa.Array:
    if dict not in set(map(type, cells)):
        try:
            return pa.array(cells)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            pass
    return pa.array([cell if cell is None or isinstance(cell, str) else json.dumps(cell) for cell in cells])


def _kind(type_: pa.DataType) -> Kind:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_boolean(type_):
        return Kind.NUMBER
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return Kind.TEXT
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        return Kind.LIST
    return Kind.NUMBER if pa.types.is_decimal(type_) else Kind.OTHER


def _text_kind(first: pa.RecordBatch | None, place: int) -> Kind:
    if first is None:
        return Kind.NUMBER
    try:
        pc.cast(first.column(place), pa.float64())
    except pa.ArrowInvalid:
        return Kind.TEXT
    return Kind.NUMBER


@contextmanager
def _told(path: Path, at: Callable[[], int]) -> Iterator[None]:
    """What is broken in the middle is found there."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise BulkStopped(f"{path} cannot be read after row {at():,}: {_why(error)}") from error


def _why(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())
