"""What is promised of which load."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.under_load.overload import Peak, outdone, promised
from benchmarks.under_load.page import disturbed, page, promises, render

TIMES = {"p50_ms": 1.0, "p90_ms": 2.0, "p99_ms": 3.0, "max_ms": 4.0}


def told(factor: float, *, refused: int = 5, valid: bool = True, of_peak: float = 0.95) -> dict[str, Any]:
    load = {
        "share_within": 0.995, "right": TIMES, "refused": {"count": refused, **TIMES}, "valid": valid,
        "whole": True, "short": None, "problem": None if valid else "late",
        "lateness": {"p99_ms": 0.1}, "by_status": {"200": 10}, "seconds": 60.0,
    }  # fmt: skip
    return {
        "factor": factor,
        "of_peak": of_peak,
        "recovery_s": 0.5,
        "warm-up": {"seconds": 3.0},
        "load": load,
        "recovery": {"valid": True, "whole": True, "seconds": 10.0},
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


def test_the_report_tells_how_long_and_how_often_a_load_was_asked_for() -> None:
    case = {"model": "mlp", "peak_per_second": 1_000, "loads": [{**told(1.5), "promises": []}], "others_cores": 0.1}
    text = render({"experiment": "overload", "engine": "ray", "cases": [case]})
    assert "Each load was asked for once, for 60 s; 3 s at half the peak came before it, and 10 s after it" in text


@pytest.mark.parametrize(("cores", "quiet"), [(0.1, True), (0.3, True), (1.25, False)])
def test_the_report_says_so_where_others_used_the_machine(cores: float, quiet: bool) -> None:
    calm: dict[str, Any] = {"others_cores": 0.0}
    assert (disturbed({"cases": [calm, {"others_cores": cores}]}) == "") is quiet
    assert (disturbed({"others_cores": cores}) == "") is quiet


def test_the_page_tells_of_each_experiment_when_and_of_what_it_was_measured() -> None:
    load = {**told(1.5), "promises": []}
    case = {"model": "mlp", "peak_per_second": 1_000, "loads": [load], "others_cores": 0.1}
    facts = {"began": "2026-01-01", "machine": {"commit": "abc", "compiled": True}, "rule": "A rule."}
    text = page([{"experiment": "overload", "engine": engine, "cases": [case], **facts} for engine in ("ray", "x")])
    assert text.startswith(
        "## Under load\n\nA rule.\n\n### overload, ray\n\nMeasured on 2026-01-01 at commit abc, the "
    )
    assert "### overload, x" in text


class Server:
    """Answers up to its capacity, and so many a second less of what is asked beyond it."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.asked: list[float] = []

    def step(self, rate: float) -> dict[str, Any]:
        self.asked.append(rate)
        over = max(0.0, rate - self.capacity)
        return {"goodput_per_second": min(rate, self.capacity) - over}


@pytest.mark.parametrize("believed", [100.0, 900.0, 1_000.0, 2_500.0])
def test_the_peak_is_looked_for_beyond_the_last_step_as_long_as_that_is_the_best(believed: float) -> None:
    server = Server(1_000.0)
    peak = Peak(server.step)
    peak.look_around(believed)
    assert peak.per_second == pytest.approx(1_000.0, rel=0.15) or believed * 0.6 > 1_000.0
    assert len(server.asked) < 25


def test_a_load_with_more_goodput_than_the_peak_says_that_the_peak_was_not_found() -> None:
    assert not outdone(100.0, [100.0, 109.0])
    assert outdone(100.0, [90.0, 111.0])
