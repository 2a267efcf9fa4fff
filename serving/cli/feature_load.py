"""Loads a table into a feature view: progress where somebody watches, bad rows beside the file, resumable."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from serving.cli.failure import CommandFailed
from serving.cli.load_mark import LoadMark, Reached
from serving.cli.rejects import Rejects
from serving.errors import BadRequest
from serving.features.feature_view import FeatureView
from serving.features.store.redis_store import RedisStore
from serving.features.tables.block_packer import PackedRows
from serving.features.tables.row_file import RowFile
from serving.features.tables.row_parser import BadRow

# A few times a second; what is read again after an interruption is not more.
_MARK_EVERY = 20_000

Seen = Callable[[int], None]


@dataclass(slots=True)
class Loaded:
    """What became of a table's rows, with those of interrupted runs, which had come to `before`.

    `first` tells of the first row that was not taken; so many keys were `evicted` by the server meanwhile, whosever.
    """

    before: Reached = field(default_factory=Reached)
    rows: int = 0
    rejected: int = 0
    first: str = ""
    took_s: float = 0.0
    evicted: int = 0

    @property
    def rows_per_s(self) -> int:
        """How quick it was."""
        return round((self.rows - self.before.rows) / self.took_s) if self.took_s else 0


def load_rows(file: RowFile, view: FeatureView, store: RedisStore, rejects: Rejects, mark: LoadMark) -> Loaded:
    """Put every row that can be taken, and reject the others; goes on where an interrupted run had come to.

    Raises:
        CommandFailed: the file cannot be read to its end, or the rejects file cannot be written.
    """
    before = mark.reached(rejects.path)
    rejects.begin(before.rejects_bytes)
    loaded = Loaded(before, before.rows, before.rejected, before.first)
    evicted = store.evicted()
    began = time.monotonic()
    with _progress(view, file) as seen:
        try:
            _put(file.blocks(before.taken), _Job(view, store, rejects, mark, loaded), seen)
        except BadRequest as broken:
            # In the middle of the file: what came before is on its way, or there.
            raise CommandFailed(
                f"{broken.message}; rows before it may be loaded, load the mended file again"
            ) from broken
        finally:
            rejects.close()
    mark.drop()
    loaded.took_s = time.monotonic() - began
    loaded.evicted = store.evicted() - evicted
    return loaded


@dataclass(frozen=True, slots=True)
class _Job:
    view: FeatureView
    store: RedisStore
    rejects: Rejects
    mark: LoadMark
    loaded: Loaded

    def put(self, block: PackedRows) -> None:
        self.store.put_packed(self.view, block.keys, block.rows)
        for bad in block.bad:
            self.rejects.add(bad)
        self.loaded.rows += len(block.rows)
        self.loaded.rejected += len(block.bad)
        if block.bad and not self.loaded.first:
            self.loaded.first = _told(block.bad[0])

    def keep_mark(self) -> None:
        done = self.loaded
        self.mark.keep(Reached(done.rows, done.rejected, self.rejects.bytes_written(), done.first))


def _put(blocks: Iterator[PackedRows], job: _Job, seen: Seen) -> None:
    marked = job.loaded.before.taken
    for block in blocks:
        job.put(block)
        seen(job.loaded.rows)
        taken = job.loaded.rows + job.loaded.rejected
        if taken - marked >= _MARK_EVERY:
            job.keep_mark()
            marked = taken


def _told(bad: BadRow) -> str:
    column = f", column {bad.column}" if bad.column else ""
    return f"line {bad.line}{column}: {bad.reason}"


class _Rate(ProgressColumn):
    """Rows a second, while the bar counts what the file is made of."""

    def render(self, task: Task) -> Text:
        rows = task.fields["rows"]
        return Text(f"{rows:,} rows, {rows / task.elapsed:,.0f} rows/s" if task.elapsed else "")


@contextmanager
def _progress(view: FeatureView, file: RowFile) -> Iterator[Seen]:
    """Told of the rows taken so far, it shows how far the file has been read."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"loading {view.name}", total=file.total, rows=0)
        yield lambda rows: progress.update(task, completed=file.done(), rows=rows)
