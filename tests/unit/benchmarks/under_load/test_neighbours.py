"""What the report says of a small model beside a slow one."""

from __future__ import annotations

from typing import Any

from benchmarks.under_load.page import render


def load(number: int, beside: str, p99_ms: float) -> dict[str, Any]:
    figures = {"seconds": 15.0, "right": {"p50_ms": 0.5, "p99_ms": p99_ms}, "by_status": {}, "lateness": {}}
    return {"round": number, "beside": beside, "small": figures, "slow": figures}


def test_the_range_of_the_rounds_is_told_so_that_the_median_hides_none() -> None:
    p99 = {"alone": (1.0, 1.0, 1.0), "light": (1.5, 1.6, 1.7), "busy": (2.0, 2.0, 2.0), "flooded": (2.5, 2.0, 9.0)}
    rounds = [load(number, name, values[number]) for name, values in p99.items() for number in range(3)]
    results = {"experiment": "neighbours", "engine": "ray", "run_ms": 30.0, "rounds": rounds, "promises": []}
    text = render({**results, "others_cores": 0.0})
    assert "| all | flooded |  | x alone: 2.50 (2.00-9.00), 3 rounds |" in text
    assert "200 requests a second to the small model, 15 s in each of 3 rounds" in text
