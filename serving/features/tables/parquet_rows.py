"""Rows out of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from serving.errors import BadRequest
from serving.features.tables.chunk import ROWS_A_CHUNK, Chunk
from serving.features.tables.row_parser import BadRow

_FLOATS = frozenset(("float", "double"))
_WHOLE = frozenset(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"))


class ParquetRows:
    """One open Parquet file; `total` and `done` count rows."""

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
        self.columns: Sequence[str] = list(self._file.schema_arrow.names)
        self.total = self._file.metadata.num_rows
        self.done = 0

    def close(self) -> None:
        """Nothing more is read."""
        self._file.close()

    def chunks(self) -> Iterator[Chunk | BadRow]:
        """All rows, in the file's order; can be taken once. Lines count as in CSV, where the header is line 1.

        Raises:
            BadRequest: what comes next cannot be read.
        """
        batches = self._file.iter_batches(ROWS_A_CHUNK)
        with self._file:
            while True:
                try:
                    batch = next(batches, None)
                    columns = [] if batch is None else [_cells_of(column) for column in batch.columns]
                except (OSError, ValueError) as error:
                    # Pages are read as they are needed, so what is broken in the middle is found there.
                    raise BadRequest(f"{self._path}: row {self.done + 1} cannot be read: {error}") from error
                if batch is None:
                    return
                first = self.done + 2
                self.done += len(batch)
                yield Chunk(range(first, first + len(batch)), columns)


def _cells_of(column: Any) -> Any:  # noqa: ANN401 - pyarrow's, which is imported where it is needed
    """Numbers as an array, with NaN for what is not there; else as Python has them, text where it has no such value."""
    kind = str(column.type)
    if kind in _FLOATS or (kind in _WHOLE and not column.null_count):
        return column.to_numpy(zero_copy_only=False)
    try:
        cells: list[object] = column.to_pylist()
    except (ValueError, OverflowError):
        # Times to the nanosecond, as pandas writes them, and years that a calendar does not know.
        cells = column.cast("string").to_pylist()
    return cells
