"""What traces cost is held against the same server without them, and counts only where there were traces."""

from __future__ import annotations

import pytest

from benchmarks.under_load.page import render
from benchmarks.under_load.tracing import _compared, lines


def told(cost_us: float, requests: int = 30_000, pairs: int = 10) -> list[dict[str, dict[str, float]]]:
    one = {
        "off": {"per_s": 1_000.0, "cpu_us": 50.0, "requests": requests},
        "sampled": {"per_s": 990.0, "cpu_us": 50.0 + cost_us, "requests": requests},
    }
    return [one] * pairs


@pytest.mark.parametrize(
    ("pairs", "spans", "verdicts"),
    [
        (told(1.0), 18_000, ["kept"] * 4),
        (told(2.0), 18_000, ["missed", "kept", "kept", "kept"]),
        (told(1.0, requests=100), 60, ["kept", "missed", "kept", "kept"]),
        (told(1.0, pairs=3, requests=100_000), 18_000, ["kept", "kept", "missed", "kept"]),
        (told(1.0), 10, ["kept", "kept", "kept", "missed"]),
    ],
)
def test_the_upper_end_of_what_they_cost_is_promised(
    pairs: list[dict[str, dict[str, float]]], spans: float, verdicts: list[str]
) -> None:
    compared = _compared(pairs, spans)
    assert [promise["verdict"] for promise in compared["promises"]] == verdicts
    results = {"pairs": pairs, "others_cores": 0.0, "experiment": "tracing", "engine": "in-process", **compared}
    assert len(lines(results)) == len(pairs) + 3
    assert "share, of a request" in render(results)


@pytest.mark.parametrize(("off", "verdict"), [(50.2, "kept"), (51.0, "missed")])
def test_what_they_cost_while_they_are_off_is_promised_where_it_was_measured(off: float, verdict: str) -> None:
    without = {"per_s": 1_000.0, "cpu_us": 50.0, "requests": 30_000}
    pairs = [{**one, "without": without, "off": {**one["off"], "cpu_us": off}} for one in told(1.0)]
    compared = _compared(pairs, 18_000)
    assert compared["promises"][-1]["verdict"] == verdict
    assert compared["intervals"]["off_cost_us"]["median"] == pytest.approx(off - 50.0)
    results = {"pairs": pairs, "others_cores": 0.0, "experiment": "tracing", "engine": "in-process", **compared}
    assert len(lines(results)) == len(pairs) + 5
    assert "off_share, of a request" in render(results)
