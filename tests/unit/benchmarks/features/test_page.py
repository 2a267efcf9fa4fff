"""What is judged, and what is shown of it."""

from __future__ import annotations

from typing import Any

from benchmarks.features import page


def cell(contender: str, workload: str, connections: int, per_second: float, p50_us: float) -> dict[str, Any]:
    figures = {"per_second": per_second, "p50_us": p50_us, "p99_us": 2 * p50_us}
    return {
        "contender": contender, "workload": workload, "connections": connections, "round": 0, "failed": 0,
        "other_cores": 0.0, **figures,
    }  # fmt: skip


CELLS = [
    cell("sluice", "ids", 64, 60.0, 900.0),
    cell("sluice", "tensors", 64, 100.0, 500.0),
    cell("by-hand", "ids", 64, 10.0, 9_000.0),
    cell("by-hand", "ids", 1, 5.0, 600.0),
    cell("sluice", "ids", 1, 5.0, 300.0),
]


def test_targets_are_judged_within_a_round() -> None:
    lines = page.comparison({"cells": CELLS, "turns": []}, page.PREDICTIONS).splitlines()
    assert "| no near cache, to plain tensors, requests/s at c=64 >= 0.55 x | 0.60, one round | yes |" in lines
    assert "| no near cache, to a service by hand, requests/s at c=64 >= 15 x | 6.00, one round | NO |" in lines
    assert "| no near cache, to a service by hand, p50 at c=1 <= 0.55 x | 0.50, one round | yes |" in lines
    assert "| rows near, to plain tensors, p50 at c=1 <= 1.4 x | not measured |  |" in lines


def test_who_failed_says_why() -> None:
    turns = [{"contender": "feast", "problem": "no right answer"}, {"contender": "sluice", "problem": None}]
    assert page.comparison({"cells": CELLS, "turns": turns}, ()).endswith("* feast: no right answer")


def test_growth_has_a_table_for_each_series() -> None:
    cells = [{**one, "series": series, "size": 10} for one in CELLS for series in ("views", "keys")]
    shown = page.growth({"cells": cells, "turns": []})
    assert shown.count("| 10 | 60, 0.30 | 100, - | 10, 0.60 |") == 2


def test_growth_says_where_requests_were_refused() -> None:
    cells = [{**one, "series": "entities", "size": 100, "failed": 5 * (one["connections"] == 64)} for one in CELLS]
    shown = page.growth({"cells": cells, "turns": []})
    assert "| 100 | refused, 0.30 | refused, - | refused, 0.60 |" in shown
