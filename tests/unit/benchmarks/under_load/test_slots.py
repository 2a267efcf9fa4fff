"""What a replica finds is held against what somebody could have configured."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.under_load.page import render
from benchmarks.under_load.promises import rows_of
from benchmarks.under_load.slots import found, lines, promised


def told(*rates: tuple[float, float, float]) -> list[dict[str, Any]]:
    return [
        {"round": number, "slots": slots, "found": 1, "per_second": rate, "p99_ms": 9.0, "one_p50_ms": 1.5}
        for number, three in enumerate(rates)
        for slots, rate in zip(("1", "2", "auto"), three, strict=True)
    ]


@pytest.mark.parametrize(
    ("rates", "verdict"),
    [([(900, 1_500, 1_480)], "kept"), ([(900, 1_500, 910)], "missed"), ([(1_000, 900, 990)] * 2, "kept")],
)
def test_it_is_to_be_about_as_good_as_the_better_one(rates: list[tuple[float, float, float]], verdict: str) -> None:
    rounds = told(*rates)
    (promise,) = rows_of([promised(rounds)])
    assert promise["verdict"] == verdict
    results = {"rounds": rounds, "others_cores": 0.0, "experiment": "slots", "engine": "ray", "promises": [promise]}
    assert len(lines(results)) == len(rounds)
    assert "auto, requests/s to the better" in render(results)


def test_what_was_found_is_read_off_the_pool_s_metric() -> None:
    assert found('# TYPE sluice_pool_slots gauge\nsluice_pool_slots{pool="default"} 2\n') == 2
    assert found("") == 0
