"""Renders how Sluice grows: a table for each series, shapes side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.markdown import table
from benchmarks.summary import disturbed

Cell = dict[str, Any]
TITLES = {
    "sluice-ray": "Ray pool",
    "sluice-ray-2": "Ray pool, 2 workers",
    "sluice-in-process": "in-process",
    "sluice-in-process-2": "in-process, 2 workers",
}
HEADS = {
    "clients": ("Callers", "requests/s, p50 / p99 ms"),
    "models": ("Models asked in turn by 64 callers", "requests/s, p50 / p99 ms"),
    "rows": ("Rows a request, 64 callers", "rows/s, p50 / p99 ms"),
}


def render(results: Mapping[str, Any]) -> str:
    """The section; a load of which some answers failed or came late, or that others disturbed, has no figure."""
    facts = results["machine"]
    compiled = "the hot path compiled" if facts.get("compiled") else "all of it plain Python"
    head = (
        f"{results['method']} Measured on {results['began']} at commit {facts['commit']}, {compiled}, "
        f"{results['rounds']} rounds of {results['seconds']:g} s."
    )
    parts = ["### Growth", head, *(_series(results["cells"], series) for series in HEADS)]
    parts += [f"* {problem}" for problem in results["problems"]]
    return "\n\n".join(parts) + "\n"


def _series(cells: Sequence[Cell], series: str) -> str:
    own = [cell for cell in cells if cell["series"] == series]
    shapes = [name for name in TITLES if any(cell["contender"] == name for cell in own)]
    first, of = HEADS[series]
    rows = [
        [f"{size:,}", *(_point(own, name, size, series) for name in shapes)]
        for size in sorted({cell["size"] for cell in own})
    ]
    return table([first, *(f"{TITLES[name]}: {of}" for name in shapes)], rows)


def _point(cells: Sequence[Cell], name: str, size: int, series: str) -> str:
    found = [c for c in cells if (c["contender"], c["size"]) == (name, size) and not c["failed"] and not disturbed(c)]
    if not found:
        return ""
    rate = median(cell["rows_per_second" if series == "rows" else "per_second"] for cell in found)
    p50, p99 = (median(cell[figure] for cell in found) / 1e3 for figure in ("p50_us", "p99_us"))
    return f"{rate:,.0f}, {p50:.2f} / {p99:.2f}"
