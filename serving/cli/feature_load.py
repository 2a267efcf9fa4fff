"""Loads a table into a feature view: progress where somebody watches, bad rows beside the file."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from serving.cli.failure import CommandFailed
from serving.errors import BadRequest
from serving.features.feature_view import FeatureView
from serving.features.store.redis_store import EntityRow, RedisStore
from serving.features.tables.row_file import RowFile
from serving.features.tables.row_parser import BadRow

_SHOW_EVERY = 1_000

Seen = Callable[[int], None]


@dataclass(slots=True)
class Loaded:
    """What became of a table's rows; `first` is the first one that was not taken."""

    rows: int = 0
    rejected: int = 0
    first: BadRow | None = None
    took_s: float = 0.0

    @property
    def rows_per_s(self) -> int:
        """How quick it was."""
        return round(self.rows / self.took_s) if self.took_s else 0


@dataclass(slots=True)
class Rejects:
    """The file of rows that were not taken; made with the first one."""

    path: Path
    columns: tuple[str, ...]
    _files: ExitStack = field(default_factory=ExitStack)
    _file: TextIO | None = None

    def add(self, bad: BadRow) -> None:
        """Write the row, and why, such that it can be mended and loaded.

        Raises:
            CommandFailed: the file cannot be written.
        """
        try:
            if self._file is None:
                # Bytes that are no UTF-8 go back as they came.
                opened = self.path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
                self._file = self._files.enter_context(opened)
                csv.writer(self._file).writerow(("line", "column", "reason", *self.columns))
            csv.writer(self._file).writerow((bad.line, bad.column, bad.reason, *bad.cells))
        except OSError as error:
            raise CommandFailed(f"{self.path} cannot be written: {error.strerror}; name another --rejects") from error

    def close(self) -> None:
        """Everything is on disk."""
        self._files.close()


def load_rows(file: RowFile, view: FeatureView, store: RedisStore, rejects: Rejects) -> Loaded:
    """Put every row that can be taken, and reject the others.

    Raises:
        CommandFailed: the file cannot be read to its end.
    """
    loaded = Loaded()
    began = time.monotonic()
    with _progress(view, file) as seen:
        try:
            store.put(view, _good(file, rejects, loaded, seen))
        except BadRequest as broken:
            # In the middle of the file: what came before is on its way, or there.
            raise CommandFailed(
                f"{broken.message}; rows before it may be loaded, load the mended file again"
            ) from broken
        finally:
            rejects.close()
    loaded.took_s = time.monotonic() - began
    return loaded


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


def _good(file: RowFile, rejects: Rejects, loaded: Loaded, seen: Seen) -> Iterator[EntityRow]:
    for row in file.rows:
        if isinstance(row, BadRow):
            rejects.add(row)
            loaded.rejected += 1
            loaded.first = loaded.first or row
            continue
        loaded.rows += 1
        if loaded.rows % _SHOW_EVERY == 0:
            seen(loaded.rows)
        yield row
