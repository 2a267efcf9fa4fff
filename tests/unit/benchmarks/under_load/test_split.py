"""What a split costs is held against the same server without one."""

from __future__ import annotations

import pytest

from benchmarks.under_load.page import render
from benchmarks.under_load.split import _compared, lines


def told(split: float, observed: float, cost_us: float, requests: int = 100_000) -> list[dict[str, dict[str, float]]]:
    one = {
        "whole": {"per_s": 1_000.0, "cpu_us": 50.0, "requests": requests},
        "split": {"per_s": split, "cpu_us": 50.0, "requests": requests},
        "observed": {"per_s": observed, "cpu_us": 50.0 + cost_us, "requests": requests},
    }
    return [one, one, one]


@pytest.mark.parametrize(
    ("rounds", "verdicts"),
    [
        (told(980.0, 960.0, 1.0), ["kept"] * 4),
        (told(900.0, 960.0, 1.0), ["missed", "kept", "kept", "kept"]),
        (told(980.0, 900.0, 3.0, 10), ["kept", "missed", "missed", "missed"]),
    ],
)
def test_rates_and_processor_time_are_promised_apart(
    rounds: list[dict[str, dict[str, float]]], verdicts: list[str]
) -> None:
    compared = _compared(rounds)
    assert [promise["verdict"] for promise in compared["promises"]] == verdicts
    results = {"rounds": rounds, "others_cores": 0.0, "experiment": "split", "engine": "in-process", **compared}
    assert len(lines(results)) == len(rounds) + 5
    assert "observed, x whole" in render(results)
