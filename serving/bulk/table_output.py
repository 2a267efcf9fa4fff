"""Tables written block by block, the format told by the name's suffix."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from serving.bulk.stopped import BulkStopped
from serving.bulk.table_input import CSV, PARQUET

_GROUP_ROWS = 131_072
_GROUP_BYTES = 32 << 20
_QUOTED = '[",\r\n]'


class TableOutput(Protocol):
    """A table that is being written."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Append rows; columns are the same in every batch."""

    def close(self) -> None:
        """Everything is handed to the operating system."""


def table_output(suffix: str, file: BinaryIO, schema: pa.Schema) -> TableOutput:
    """A table in the format of a suffix; `schema` is that of its first rows."""
    if suffix in PARQUET:
        return _Parquet(file, schema)
    return _Csv(file, schema.names) if suffix in CSV else _JsonLines(file)


class _Parquet:
    """Row groups of some megabytes: smaller ones are read slowly, larger ones fill the memory."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._schema = pa.schema([pa.field(one.name, _writable(one.type)) for one in schema])
        texts = [one.name for one in self._schema if pa.types.is_string(one.type)]
        # Numbers hardly repeat, and looking for repetitions takes most of the time.
        self._writer = pq.ParquetWriter(file, self._schema, use_dictionary=texts)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(_cast(batch, self._schema))
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._rows = self._bytes = 0
        if waiting:
            self._writer.write_table(pa.Table.from_batches(waiting, self._schema), _GROUP_ROWS)


def _writable(type_: pa.DataType) -> pa.DataType:
    """A column of nothing but gaps in its first rows may have text later."""
    return pa.string() if pa.types.is_null(type_) else type_


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    if batch.schema.types == schema.types:
        return pa.RecordBatch.from_arrays(batch.columns, schema=schema)
    columns = []
    for one, column in zip(schema, batch.columns, strict=True):
        try:
            columns.append(column.cast(one.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise BulkStopped(
                f"the column {one.name!r} holds {one.type} in the first rows and something else later ({error}), which "
                "a Parquet file cannot; write .jsonl or .csv, or name other columns with --keep"
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _Csv:
    def __init__(self, file: BinaryIO, names: Sequence[str]) -> None:
        self._file = file
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(names)
        file.write(text.getvalue().encode())

    def add(self, batch: pa.RecordBatch) -> None:
        columns = [_as_cells(column) for column in batch.columns]
        # The library quotes all texts or none.
        style = "needed" if any(map(_needs_quotes, columns)) else "none"
        made = pa.BufferOutputStream()
        rows = pa.RecordBatch.from_arrays(columns, batch.schema.names)
        pacsv.write_csv(rows, made, pacsv.WriteOptions(include_header=False, quoting_style=style))
        self._file.write(made.getvalue())

    def close(self) -> None:
        self._file.flush()


def _needs_quotes(column: pa.Array) -> bool:
    texts = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return bool(texts and pc.any(pc.match_substring_regex(column, _QUOTED)).as_py())


def _as_cells(column: pa.Array) -> pa.Array:
    """A cell holds one value, so lists stand there as JSON."""
    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    if pa.types.is_nested(column.type):
        return pa.array([None if cell is None else _json(cell).decode() for cell in _values(column)], pa.string())
    return column


class _JsonLines:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        rows = zip(*map(_values, batch.columns), strict=True)
        self._file.write(b"".join(_json(dict(zip(names, row, strict=True))) + b"\n" for row in rows))

    def close(self) -> None:
        self._file.flush()


def _values(column: pa.Array) -> Sequence[object]:
    """Floats of 32 bits stay such, or a tenth would be written as 0.10000000149011612."""
    if pa.types.is_float32(column.type):
        return list(column.to_numpy(zero_copy_only=False))
    if pa.types.is_list(column.type) and pa.types.is_float32(column.type.value_type) and not column.null_count:
        ends = column.value_lengths().to_numpy(zero_copy_only=False).cumsum()[:-1]
        return np.split(column.flatten().to_numpy(zero_copy_only=False), ends)
    found: list[object] = column.to_pylist()
    return found


def _json(value: object) -> bytes:
    return orjson.dumps(value, default=_other, option=orjson.OPT_SERIALIZE_NUMPY)


def _other(value: object) -> str:
    """Decimals, long times and bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


class RejectsFile:
    """Rows that were not predicted, in CSV: number, reason, and the row; made with the first one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = ExitStack()
        self._table: _Csv | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        if self._table is None:
            self._table = _Csv(self._files.enter_context(self.path.open("wb")), batch.schema.names)
        self._table.add(batch)

    def close(self) -> bool:
        """Whether there is one."""
        self._files.close()
        return self._table is not None
