"""Renders what was measured of features, and which targets it meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.features.contenders import BY_HAND, FEAST, KSERVE, OFF, WARM, contender
from benchmarks.markdown import table
from benchmarks.summary import Cell, Key, Spread, by_round, ratio, spread


@dataclass(frozen=True, slots=True)
class Target:
    """Ours to theirs, each a contender and what it is asked: at least `bound` a second, or at most in time."""

    text: str
    ours: tuple[str, str]
    theirs: tuple[str, str]
    connections: int
    figure: str
    bound: float

    def met(self, measured: Spread) -> bool:
        """By the median of the rounds."""
        return measured.median >= self.bound if self.figure == "per_second" else measured.median <= self.bound


PREDICTIONS = (
    Target("no near cache, to plain tensors", (OFF, "ids"), (OFF, "tensors"), 64, "per_second", 0.55),
    Target("no near cache, to a service by hand", (OFF, "ids"), (BY_HAND, "ids"), 64, "per_second", 15.0),
    Target("rows near, to plain tensors", (WARM, "ids"), (OFF, "tensors"), 64, "per_second", 0.8),
    Target("no near cache, to KServe with Feast", (OFF, "ids"), (KSERVE, "ids"), 64, "per_second", 15.0),
    Target("no near cache, to a service by hand", (OFF, "ids"), (BY_HAND, "ids"), 1, "p50_us", 0.55),
    Target("rows near, to plain tensors", (WARM, "ids"), (OFF, "tensors"), 1, "p50_us", 1.4),
)
LOOK_UPS = (Target("look-up, to Feast's server", (OFF, "ids"), (FEAST, "feast"), 1, "p50_us", 0.05),)


def comparison(results: dict[str, Any], targets: Sequence[Target]) -> str:
    """A line for each contender and what it was asked, then the targets, then who failed."""
    cells: list[Cell] = results["cells"]
    asked = list(dict.fromkeys((cell["contender"], cell["workload"]) for cell in cells))
    connections = sorted({cell["connections"] for cell in cells})
    head = ["contender", "asked by", *(f"requests/s, p50 / p99 ms, c={number}" for number in connections)]
    rows = [
        [contender(name, "ray").title, what, *(_point(cells, name, what, c) for c in connections)]
        for name, what in asked
    ]
    problems = [f"* {turn['contender']}: {turn['problem']}" for turn in results["turns"] if turn["problem"]]
    judged = table(["target", "measured", "met"], [_judged(cells, target) for target in targets])
    return "\n\n".join([table(head, rows), judged, *problems])


def growth(results: dict[str, Any]) -> str:
    """A table for each series."""
    parts = []
    for series in dict.fromkeys(cell["series"] for cell in results["cells"]):
        own = [cell for cell in results["cells"] if cell["series"] == series]
        asked = list(dict.fromkeys((cell["contender"], cell["workload"]) for cell in own))
        head = [series, *(f"{name}, {what}: req/s c=64, p50 ms c=1" for name, what in asked)]
        rows = []
        for size in dict.fromkeys(cell["size"] for cell in own):
            point = [cell for cell in own if cell["size"] == size]
            rows.append([f"{size:,}", *(_grown(point, name, what) for name, what in asked)])
        parts.append(table(head, rows))
    problems = [
        f"* {turn['series']} {turn['size']}, {turn['contender']}: {turn['problem']}"
        for turn in results["turns"]
        if turn["problem"]
    ]
    return "\n\n".join([*parts, *problems])


def _point(cells: Sequence[Cell], name: str, what: str, connections: int) -> str:
    rate, p50, p99 = (_median(cells, Key(name, what, connections), of) for of in ("per_second", "p50_us", "p99_us"))
    if rate is None or p50 is None or p99 is None:
        return "-"
    return f"{rate:,.0f}, {p50 / 1e3:.2f} / {p99 / 1e3:.2f}"


def _grown(cells: Sequence[Cell], name: str, what: str) -> str:
    """A rate is none where requests were refused, and neither figure is one where the machine did something else."""
    own = [cell for cell in cells if (cell["contender"], cell["workload"], cell["connections"]) == (name, what, 64)]
    rate, p50 = _median(cells, Key(name, what, 64), "per_second"), _median(cells, Key(name, what, 1), "p50_us")
    refused = "refused" if any(cell["failed"] for cell in own) else "-"
    return ", ".join((refused if rate is None else f"{rate:,.0f}", "-" if p50 is None else f"{p50 / 1e3:.2f}"))


def _median(cells: Sequence[Cell], key: Key, figure: str) -> float | None:
    found = by_round(cells, key, figure).values()
    return spread(found).median if found else None


def _judged(cells: Sequence[Cell], target: Target) -> list[str]:
    ours, theirs = (
        by_round(cells, Key(*side, target.connections), target.figure) for side in (target.ours, target.theirs)
    )
    measured = ratio(ours, theirs)
    way = ">=" if target.figure == "per_second" else "<="
    figure = "requests/s" if target.figure == "per_second" else "p50"
    text = f"{target.text}, {figure} at c={target.connections} {way} {target.bound:g} x"
    if measured is None:
        return [text, "not measured", ""]
    return [
        text,
        str(measured),
        "yes" if target.met(measured) else "NO",
    ]
