"""Numbers as reports show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PERCENTILES = (("p50", "p50_ms"), ("p90", "p90_ms"), ("p99", "p99_ms"), ("p99.9", "p999_ms"), ("slowest", "max_ms"))
COLUMNS = ("", "requests", "right/s", "errors", *(f"{name} ms" for name, _ in PERCENTILES))


def number(value: float | None) -> str:
    """Three digits and more; a dash for what was not measured or has no end."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004


def share(value: float | None) -> str:
    """A percentage."""
    return "-" if value is None else f"{value * 100:.3g} %"


def row(name: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    """One line below COLUMNS."""
    percentiles = (number(figures[key]) for _, key in PERCENTILES)
    count = f"{figures['requests']:,}"
    return (name, count, number(figures["right_per_second"]), share(figures["error_share"]), *percentiles)


def parts(result: Mapping[str, Any]) -> Sequence[tuple[str, ...]]:
    """The whole, then users, variants and stages where there are several."""
    rows = [row("all", result["totals"])]
    rows += [row(f"user {name}", one) for name, one in result["users"].items() if len(result["users"]) > 1]
    rows += [row(f"variant {name}", one) for name, one in result["variants"].items() if len(result["variants"]) > 1]
    rows += [
        row(f"stage {one['name']}" + (" (warm-up)" if one["warm_up"] and one["name"] != "warm-up" else ""), one)
        for one in result["stages"]
        if len(result["stages"]) > 1
    ]
    return rows


def not_judged(result: Mapping[str, Any]) -> str:
    """Why no gate of this result says anything of the server; empty where they do."""
    if result["verdict"] == "invalid":
        return "the load is invalid: its figures are not the server's"
    return "the load was stopped before its end" if result["verdict"] == "interrupted" else ""


def near_rows(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What was found of the rows that the server looked for near, with shares; results of before do not tell it."""
    found = result.get("near_look_ups", {})
    return [(outcome, f"{count:,}", share(count / sum(found.values()))) for outcome, count in found.items()]


def gate_rows(result: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Name, bound, what was measured, and whether it was met."""
    told = []
    for gate in result["gates"]:
        scope = "" if gate["scope"] == "all" else f"{gate['scope']}: "
        told.append(
            (f"{scope}{gate['name']}", f"{gate['limit']:g}", gate["note"] or number(gate["measured"]), gate["met"])
        )
    return told
