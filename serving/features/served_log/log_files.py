"""The Parquet files of a served-feature log: one at a time for each version, closed by age, the oldest deleted."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serving.features.served_log import entity_ids
from serving.features.served_log.entry import Entry
from serving.features.served_log.records import Column, Record, columns_of, records_of
from serving.inference import VersionKey

log = logging.getLogger(__name__)

GROUP_ROWS = 1_000
HASHED = b"sluice.hashed_ids"
# Between two records the interpreter is the loop's: a thread that computes would keep it for 5 ms at a time.
_PAUSE_S = 0.0002

_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "time": pa.timestamp("ms", tz="UTC"),
    "BYTES": pa.string(),
    "FP16": pa.float32(),
    "FP32": pa.float32(),
    "FP64": pa.float64(),
    "INT8": pa.int8(),
    "INT16": pa.int16(),
    "INT32": pa.int32(),
    "INT64": pa.int64(),
    "UINT8": pa.uint8(),
    "UINT16": pa.uint16(),
    "UINT32": pa.uint32(),
    "UINT64": pa.uint64(),
    "BOOL": pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Files in `folder` are closed after `rotate_s`; all together they have `most_bytes`, give or take open ones."""

    folder: Path
    rotate_s: float
    most_bytes: int
    hash_ids: bool = True


@dataclass(slots=True)
class _Open:
    """A file that is not closed yet: `writer` is there once a row group was written, `rows` wait for the next one.

    `grouped` rows are in row groups, which nobody can read before the file is closed.
    """

    path: Path
    schema: pa.Schema
    opened_at: float
    rows: list[Record] = field(default_factory=list)
    writer: pq.ParquetWriter | None = None
    grouped: int = 0


class LogFiles:
    """Writes entries; `clock` is monotonic. What the disk refuses is lost, counted, and told once until it heals.

    Rows are `written` once their file can be read. A file of which something was refused is given up with all its rows:
    what is written to it afterwards could not be read either.
    """

    def __init__(
        self, options: LogOptions, clock: Callable[[], float], pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._options = options
        self._clock = clock
        self._pause = pause
        self._id_of: Callable[[str], str] | None = None
        self._open: dict[tuple[VersionKey, tuple[Column, ...]], _Open] = {}
        self._number = 0
        self._failing = False
        self._hurried = False
        self.written = 0
        self.lost = 0

    def write(self, entry: Entry) -> None:
        """Keep the rows until there are enough for a row group."""
        try:
            id_of = self._ids()
            file = self._file(entry)
            records = []
            for record in records_of(entry, id_of):
                records.append(record)
                self._rest()
        except Exception as error:  # noqa: BLE001 - the thread must live, whatever one entry does
            self._failed(error, entry.seen.rows.count)
            return
        file.rows += records
        if len(file.rows) >= GROUP_ROWS:
            self._flush(file)

    def hurry(self) -> None:
        """Do not rest any more: nobody is to be answered beside it."""
        self._hurried = True

    def turn(self) -> None:
        """Close what is old enough."""
        oldest = self._clock() - self._options.rotate_s
        for key, file in list(self._open.items()):
            if file.opened_at <= oldest:
                del self._open[key]
                self._finish(file)

    def close(self) -> None:
        """Close everything."""
        files = list(self._open.values())
        self._open.clear()
        for file in files:
            self._finish(file)

    def _ids(self) -> Callable[[str], str]:
        if self._id_of is None:
            self._options.folder.mkdir(parents=True, exist_ok=True)
            if self._options.hash_ids:
                entity_ids.make_key(self._options.folder)
                self._id_of = entity_ids.hashed(self._options.folder)
            else:
                self._id_of = entity_ids.plain
        return self._id_of

    def _file(self, entry: Entry) -> _Open:
        columns = columns_of(entry)
        key = entry.answer.key, columns
        file = self._open.get(key)
        if file is None:
            self._number += 1
            at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(entry.seen.now_ms / 1000))
            model = re.sub(r"[^A-Za-z0-9._-]", "_", entry.answer.key.model)
            name = f"served-{model}-{entry.answer.key.version}-{at}-{os.getpid()}-{self._number}.parquet"
            path = self._options.folder / name
            self._open[key] = file = _Open(path, _schema(columns, self._options), self._clock())
        return file

    def _flush(self, file: _Open) -> None:
        """Write what waits as one row group."""
        rows, file.rows = file.rows, []
        if not rows:
            return
        try:
            arrays = []
            for column in file.schema:
                arrays.append(pa.array([row.get(column.name) for row in rows], column.type))
                self._rest()
            if file.writer is None:
                file.writer = pq.ParquetWriter(_part(file.path), file.schema)
            file.writer.write_table(pa.Table.from_arrays(arrays, schema=file.schema))
        except Exception as error:  # noqa: BLE001 - see `write`
            self._give_up(file, error, len(rows))
        else:
            file.grouped += len(rows)

    def _finish(self, file: _Open) -> None:
        self._flush(file)
        if file.writer is None:
            return
        try:
            file.writer.close()
            # Readers only ever see whole files.
            _part(file.path).rename(file.path)
        except Exception as error:  # noqa: BLE001 - see `write`
            self._give_up(file, error, 0)
            return
        self.written += file.grouped
        self._failing = False
        try:
            self._prune()
        except OSError as error:
            self._failed(error, 0)

    def _give_up(self, file: _Open, error: Exception, rows: int) -> None:
        """The file is lost with all its rows, of which so many were about to be written."""
        self._failed(error, file.grouped + rows)
        self._open = {key: other for key, other in self._open.items() if other is not file}
        with suppress(Exception):
            if file.writer is not None:
                file.writer.close()
        file.writer = None
        with suppress(OSError):
            _part(file.path).unlink(missing_ok=True)

    def _rest(self) -> None:
        if not self._hurried:
            self._pause(_PAUSE_S)

    def _prune(self) -> None:
        """Delete the oldest files of all workers, also what a killed one left, until the rest is small enough."""
        own = {_part(file.path) for file in self._open.values()}
        files = [path for path in self._options.folder.glob("*served-*.parquet*") if path not in own]
        sized = sorted(((_stat(path), path) for path in files), key=lambda one: one[0], reverse=True)
        total = 0
        for (_, size), path in sized:
            total += size
            if total > self._options.most_bytes:
                path.unlink(missing_ok=True)

    def _failed(self, error: Exception, rows: int) -> None:
        self.lost += rows
        if not self._failing:
            self._failing = True
            log.warning("rows of the served-feature log are lost: %s", error)


def _schema(columns: tuple[Column, ...], options: LogOptions) -> pa.Schema:
    fields: list[Any] = []
    for name, kind in columns:
        inner = _TYPES[kind.removeprefix("list:")]
        fields.append(pa.field(name, pa.list_(inner) if kind.startswith("list:") else inner))
    return pa.schema(fields, metadata={HASHED: b"true" if options.hash_ids else b"false"})


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _stat(path: Path) -> tuple[float, int]:
    try:
        told = path.stat()
    except FileNotFoundError:
        return 0.0, 0
    return told.st_mtime, told.st_size
