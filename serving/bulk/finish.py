"""The end of a run: rows of the table and their answers side by side into the output file, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from serving.bulk.lane import Job
from serving.bulk.records import REJECTED, added_names
from serving.bulk.state import State, sync_folder
from serving.bulk.stopped import BulkStopped
from serving.bulk.table_input import suffix_of
from serving.bulk.table_output import RejectsFile, TableOutput, table_output
from serving.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told of the rows written, and who says whether to go on."""

    seen: Callable[[int], None]
    stopping: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the rows go, and how: `keep` are the table's columns that stay, in their order."""

    output: Path
    rejects: Path | None
    keep: tuple[str, ...]
    prefix: str = ""


def refuse_target(target: Target, source: Path) -> None:
    """Raise BadRequest where nothing could be written at the end: known before anything is sent."""
    suffix_of(target.output, "--out")
    if target.rejects is not None and target.rejects.resolve() == target.output.resolve():
        raise BadRequest(f"{target.rejects} is where the predicted rows go; name another file for the refused ones")
    for path in (target.output, target.rejects):
        if path is None:
            continue
        if path.exists() and path.samefile(source):
            raise BadRequest(f"{path} is the file that is read; name another one")
        if path.is_dir() or not os.access(path.parent, os.W_OK):
            what = "it is a folder" if path.is_dir() else f"there is no folder {path.parent} that can be written"
            raise BadRequest(f"{path} cannot be written: {what}")


def write_out(job: Job, state: State, target: Target, watch: Watch) -> int:
    """Write everything, then give it its name; how many rows were written.

    Raises:
        BulkStopped: the disk is full, the table was changed meanwhile, or somebody stopped it.
    """
    unfinished = state.folder / f"out{target.output.suffix}"
    rejects = RejectsFile(state.folder / "rejects.csv")
    try:
        with unfinished.open("wb") as file:
            written = _fill((file, rejects), job, state, target, watch)
            file.flush()
            os.fsync(file.fileno())
        state.refuse_changed()
        name_outputs(unfinished, rejects, target)
    except OSError as error:
        raise BulkStopped(f"{target.output} cannot be written: {error.strerror or error}") from error
    finally:
        rejects.close()
    state.remove()
    return written


def _fill(files: tuple[BinaryIO, RejectsFile], job: Job, state: State, target: Target, watch: Watch) -> int:
    """Write all rows; how many were predicted."""
    file, rejects = files
    read = written = 0
    with ExitStack() as closing:
        table: TableOutput | None = None
        for batch in _joined(job, state, target):
            if watch.stopping():
                raise BulkStopped("stopped", interrupted=True)
            good, bad = _parted(batch, target, job, read)
            table = table or _opened(file, good.schema, target, closing)
            table.add(good)
            if bad.num_rows:
                rejects.add(bad)
            read += batch.num_rows
            written += good.num_rows
            watch.seen(read)
        if table is None:
            _opened(file, _empty(job, target), target, closing)
    return written


def _opened(file: BinaryIO, schema: pa.Schema, target: Target, closing: ExitStack) -> TableOutput:
    table = table_output(target.output.suffix.lower(), file, schema)
    closing.callback(table.close)
    return table


def name_outputs(unfinished: Path, rejects: RejectsFile, target: Target) -> None:
    """Both files are whole: give them the names under which they are looked for."""
    if rejects.close() and target.rejects is not None:
        # Another disk may hold it, where no file can be renamed to.
        shutil.copyfile(rejects.path, target.rejects)
    unfinished.replace(target.output)
    sync_folder(target.output.parent)


def _joined(job: Job, state: State, target: Target) -> Iterator[pa.RecordBatch]:
    """Rows of the table with their records behind, both streamed; each was cut in its own way."""
    names = target.keep if not state.progress.rejected else tuple(one.name for one in job.table.columns)
    answers = state.answers()
    if not names:
        yield from _limited(answers, job.limit)
        return
    left = state.progress.rows if job.limit is None else min(job.limit, state.progress.rows)
    record, used = None, 0
    for block in job.table.blocks(0, names):
        rows, start = block.rows, 0
        while start < rows.num_rows and left:
            if record is None or used == record.num_rows:
                record, used = next(answers), 0
            size = min(rows.num_rows - start, record.num_rows - used, left)
            yield _beside(rows.slice(start, size), record.slice(used, size))
            start, used, left = start + size, used + size, left - size
        if not left:
            return


def _limited(answers: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    done = 0
    for record in answers:
        size = record.num_rows if limit is None else min(record.num_rows, limit - done)
        if not size:
            return
        yield _beside(record.slice(0, 0).select([]), record.slice(0, size))
        done += size


def _beside(rows: pa.RecordBatch, record: pa.RecordBatch) -> pa.RecordBatch:
    names = [*(f"_{name}" for name in rows.schema.names), *record.schema.names]
    return pa.RecordBatch.from_arrays([*rows.columns, *record.columns], names)


def _parted(batch: pa.RecordBatch, target: Target, job: Job, before: int) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """What was predicted, under its names, and what was rejected with its row's number and the reason."""
    refused = batch.column(REJECTED)
    added = added_names(job.form, target.prefix, target.keep)
    chosen = [*((f"_{name}", name) for name in target.keep), *added.items()]
    renamed = _named(batch, chosen)
    if refused.null_count == len(refused):
        return renamed, renamed.slice(0, 0)
    wrong = refused.is_valid()
    numbers = pa.array(range(before + 1, before + 1 + batch.num_rows), pa.int64())
    given = [name for name in batch.schema.names if name.startswith("_")]
    columns = [numbers, refused, *(batch.column(name) for name in given)]
    rejected = pa.RecordBatch.from_arrays(columns, ["row", "reason", *(name[1:] for name in given)])
    return renamed.filter(pc.invert(wrong)), rejected.filter(wrong)


def _named(batch: pa.RecordBatch, chosen: Sequence[tuple[str, str]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([batch.column(was) for was, _ in chosen], [name for _, name in chosen])


def _empty(job: Job, target: Target) -> pa.Schema:
    """Of a table without rows."""
    names = (*target.keep, *added_names(job.form, target.prefix, target.keep).values())
    return pa.schema([pa.field(name, pa.string()) for name in names])
