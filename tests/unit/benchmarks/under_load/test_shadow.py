"""What callers notice of a shadow is held against the same callers without one, round by round."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.under_load.page import render
from benchmarks.under_load.shadow import _promises, lines


def load(number: int, shadow: str, p99_ms: float) -> dict[str, Any]:
    asked = {
        "right": {"p50_ms": 0.5, "p99_ms": p99_ms},
        "by_status": {"200": 3_000},
        "lateness": {"p99_ms": 0.1},
        "valid": True,
        "whole": True,
    }
    copies = None if shadow == "none" else {"ok": 300, "shed": 0}
    return {"round": number, "shadow": shadow, "asked": asked, "copies": copies}


@pytest.mark.parametrize(("beside_ms", "verdict"), [(1.05, "kept"), (1.2, "missed")])
def test_the_median_of_the_rounds_ratios_is_what_counts(beside_ms: float, verdict: str) -> None:
    told = [load(0, "none", 1.0), load(0, "equal", beside_ms), load(1, "none", 2.0), load(1, "equal", 2 * beside_ms)]
    (promise,) = _promises(told)
    assert promise.got == pytest.approx(beside_ms)
    assert promise.verdict == verdict
    results = {"rounds": told, "others_cores": 0.0, "experiment": "shadow", "engine": "ray", "promises": []}
    assert [row[5] for row in lines(results)] == ["", "ok 300", "", "ok 300"]
    assert "### shadow, ray" in render(results)
