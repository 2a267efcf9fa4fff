"""How far a file's predictions are, told where somebody watches: rows, rate, and when they will be done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

# Drawing costs more than asking for some rows.
_SHOW_EVERY_S = 0.1

Seen = Callable[[int], None]
Begin = Callable[[str, int], Seen]


class _Rate(ProgressColumn):
    """Rows a second since the phase began; the bar counts what the file is made of."""

    def render(self, task: Task) -> Text:
        """Rows, and how many a second."""
        rows, fresh = task.fields["rows"], task.fields["fresh"]
        return Text(f"{rows:,} rows, {fresh / task.elapsed:,.0f} rows/s" if task.elapsed else "")


@contextmanager
def bulk_progress(share: Callable[[], float], *, silent: bool) -> Iterator[Begin]:
    """Begins a phase, named, of which some rows were done before; told of the rows done, it shows the file's share."""
    if silent or not sys.stderr.isatty():
        yield lambda _name, _before: lambda _rows: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def begin(name: str, before: int) -> Seen:
            for task_id in progress.task_ids:
                progress.remove_task(task_id)
            task = progress.add_task(name, total=1.0, rows=before, fresh=0)
            shown_at = 0.0

            def seen(rows: int) -> None:
                nonlocal shown_at
                if time.monotonic() - shown_at > _SHOW_EVERY_S:
                    shown_at = time.monotonic()
                    progress.update(task, completed=share(), rows=rows, fresh=rows - before)

            return seen

        yield begin
