"""What became of predictions, joined to the served-feature log: rows of a table beside what a model was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from serving.errors import ConfigInvalid
from serving.features.served_log import entity_ids
from serving.features.served_log.log_files import HASHED

_OWN = ("request_id", "instance")


def join_outcomes(served: Path, outcomes: Path, on: Sequence[str], out: Path) -> tuple[int, int]:
    """Write the logged rows that have an outcome, with its columns as `outcome.NAME`; how many, and of how many.

    Columns of one name that models have as numbers of several types get the type that holds them all.

    Raises:
        ConfigInvalid: a file or a column is missing, two outcomes have the same key, or a column holds numbers in one
            file and text in another.
    """
    files = _files(served)
    if not files:
        raise ConfigInvalid(f"{served} has no file served-*.parquet")
    try:
        table = _outcomes(outcomes, on)
        known = _Known(_by_key(table, on, outcomes), on)
        schemas = [pq.read_schema(file) for file in files]
        added = [pa.field(f"outcome.{one.name}", one.type) for one in table.schema if one.name not in on]
        schema = pa.schema([*_of_all(schemas), *added])
        rows = written = 0
        with pq.ParquetWriter(out, schema) as writer:
            for file in files:
                logged = pq.read_table(file)
                joined = _joined(logged, file, on, known, table)
                rows += logged.num_rows
                written += joined.num_rows
                if joined.num_rows:
                    writer.write_table(pa.concat_tables([schema.empty_table(), joined], promote_options="permissive"))
    except (OSError, pa.ArrowInvalid) as error:
        raise ConfigInvalid(f"outcomes cannot be joined: {error}") from error
    return written, rows


def read_of_log(served: Path) -> list[Path]:
    """What is read of a log, a folder or one file of it: its rows, and the key of its ids."""
    folder = served if served.is_dir() else served.parent
    return [*_files(served), folder / entity_ids.KEY_FILE]


def _files(served: Path) -> list[Path]:
    return sorted(served.glob("served-*.parquet")) if served.is_dir() else [served]


class _Known:
    """Which outcome each key has; by hashes of ids for files that have those, all of which lie in one folder."""

    def __init__(self, plain: Mapping[tuple[str, ...], int], on: Sequence[str]) -> None:
        self._plain = plain
        self._on = on
        self._hashed: Mapping[tuple[str, ...], int] | None = None

    def in_file(self, logged: pa.Table, file: Path) -> Mapping[tuple[str, ...], int]:
        """By the keys as they stand in this file."""
        if (logged.schema.metadata or {}).get(HASHED) != b"true":
            return self._plain
        if self._hashed is None:
            # Once, and not for each file of the log: a million of them take more than a second.
            hashes = entity_ids.hashed(file.parent)
            self._hashed = {
                tuple(part if name in _OWN else hashes(part) for name, part in zip(self._on, key, strict=True)): number
                for key, number in self._plain.items()
            }
        return self._hashed


def _of_all(schemas: Sequence[pa.Schema]) -> pa.Schema:
    try:
        return pa.unify_schemas([one.remove_metadata() for one in schemas], promote_options="permissive")
    except pa.ArrowTypeError as error:
        raise ConfigInvalid(f"{error}; files of the log that differ so much are joined one by one") from error


def _outcomes(path: Path, on: Sequence[str]) -> pa.Table:
    if path.suffix == ".parquet":
        table = pq.read_table(path)
    else:
        # Ids are text: 007 is not 7.
        table = pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(on, pa.string())))
    for name in on:
        if name not in table.column_names:
            raise ConfigInvalid(f"{path} has no column {name!r}; it has {', '.join(table.column_names)}")
    return table


def _by_key(table: pa.Table, on: Sequence[str], path: Path) -> Mapping[tuple[str, ...], int]:
    known: dict[tuple[str, ...], int] = {}
    for number, key in enumerate(_keys(table, on)):
        if known.setdefault(key, number) != number:
            shown = ", ".join(f"{name}={value}" for name, value in zip(on, key, strict=True))
            raise ConfigInvalid(f"{path} has two rows with {shown}; each key may have one outcome")
    return known


def _keys(table: pa.Table, columns: Sequence[str]) -> list[tuple[str, ...]]:
    texts = [[str(value) for value in table[name].to_pylist()] for name in columns]
    return list(zip(*texts, strict=True))


def _joined(logged: pa.Table, file: Path, on: Sequence[str], known: _Known, outcomes: pa.Table) -> pa.Table:
    names = [name if name in _OWN else f"entity.{name}" for name in on]
    for name in names:
        if name not in logged.column_names:
            entities = [one.removeprefix("entity.") for one in logged.column_names if one.startswith("entity.")]
            wanted = name.removeprefix("entity.")
            raise ConfigInvalid(
                f"{file.name} cannot be joined on {wanted!r}; permitted: {', '.join([*_OWN, *entities])}"
            )
    number_of = known.in_file(logged, file)
    found: list[Any] = [number_of.get(key) for key in _keys(logged, names)]
    kept = [place for place, number in enumerate(found) if number is not None]
    joined = logged.take(pa.array(kept, pa.int64())).replace_schema_metadata()
    taken = outcomes.take(pa.array([found[place] for place in kept], pa.int64()))
    for name in outcomes.column_names:
        if name not in on:
            joined = joined.append_column(f"outcome.{name}", taken[name])
    return joined
