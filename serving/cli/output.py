"""What commands print: tables in one style, JSON for programs, notes on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import orjson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Without a terminal nothing is cut off: what reads a pipe searches it.
_WIDE = 500


def console() -> Console:
    """Standard output; plain text where it is no terminal."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_WIDE)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = (), whole: Iterable[str] = ()
) -> Table:
    """The one style of tables; the columns named in `right` hold numbers, those in `whole` are not broken."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    numbers, unbroken = frozenset(right), frozenset(whole)
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold", no_wrap=name in unbroken)
    for row in rows:
        # Text and not markup: a model's name may have brackets.
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return made


def print_json(value: object) -> None:
    """One document, indented, for programs and people."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE
    sys.stdout.write(orjson.dumps(value, option=options).decode())


def note(text: str) -> None:
    """One line on standard error, where it does not disturb what is read from standard output."""
    sys.stderr.write(f"{text}\n")
