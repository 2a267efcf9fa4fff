"""What is promised of which load."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.under_load.__main__ import disturbed, promises, render
from benchmarks.under_load.overload import promised

TIMES = {"p50_ms": 1.0, "p90_ms": 2.0, "p99_ms": 3.0, "max_ms": 4.0}


def told(factor: float, *, refused: int = 5, valid: bool = True, of_peak: float = 0.95) -> dict[str, Any]:
    load = {
        "share_within": 0.995, "right": TIMES, "refused": {"count": refused, **TIMES}, "valid": valid,
        "whole": True, "short": None, "problem": None if valid else "late",
        "lateness": {"p99_ms": 0.1}, "by_status": {"200": 10},
    }  # fmt: skip
    return {
        "factor": factor,
        "of_peak": of_peak,
        "recovery_s": 0.5,
        "load": load,
        "recovery": {"valid": True, "whole": True},
    }


def verdicts(one: dict[str, Any]) -> dict[str, str]:
    return {promise.what: promise.verdict for promise in promised(one, 0.9)}


def test_below_capacity_nearly_all_are_promised_to_be_in_time() -> None:
    assert verdicts(told(0.9)) == {"share within the goal": "kept"}


def test_above_it_goodput_quick_refusals_and_recovery_are() -> None:
    assert set(verdicts(told(1.5)).values()) == {"kept"}
    assert verdicts(told(1.5, of_peak=0.5))["goodput of peak"] == "missed"


def test_nothing_is_said_of_refusals_where_there_were_none() -> None:
    assert set(verdicts(told(3, refused=0))) == {"goodput of peak", "recovery s"}


@pytest.mark.parametrize("factor", [0.9, 3])
def test_a_load_that_was_not_the_one_asked_for_says_nothing_of_the_server(factor: float) -> None:
    assert set(verdicts(told(factor, valid=False)).values()) == {"invalid"}


def test_the_report_names_model_and_load_of_each_verdict() -> None:
    load = {**told(1.5), "promises": [{"what": "recovery s", "wanted": "<= 2", "got": 0.5, "verdict": "kept"}]}
    case = {"model": "mlp", "peak_per_second": 1_000, "loads": [load], "others_cores": 0.1}
    results = {"experiment": "overload", "engine": "ray", "cases": [case]}
    assert promises(results)[0]["what"] == "mlp at 1.5 x: recovery s"
    assert "| mlp at 1.5 x: recovery s | <= 2 | 0.500 | kept |" in render(results)


@pytest.mark.parametrize(("cores", "quiet"), [(0.1, True), (0.3, True), (1.25, False)])
def test_the_report_says_so_where_others_used_the_machine(cores: float, quiet: bool) -> None:
    calm: dict[str, Any] = {"others_cores": 0.0}
    assert (disturbed({"cases": [calm, {"others_cores": cores}]}) == "") is quiet
    assert (disturbed({"others_cores": cores}) == "") is quiet
