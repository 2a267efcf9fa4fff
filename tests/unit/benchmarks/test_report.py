"""The report says what the results file says."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table
from benchmarks.report import components, render


def cell(contender: str, per_second: float, **more: Any) -> dict[str, Any]:
    figures = {"per_second": per_second, "p50_us": 100.0, "p99_us": 900.0, "server_cpu_us": 12.0, "other_cores": 0.05}
    place = {"contender": contender, "workload": "mlp", "connections": 64, "round": 0, "failed": 0, "late": 0}
    return {**place, **figures, **more}


def results(*cells: dict[str, Any], **more: Any) -> dict[str, Any]:
    machine = {"cpu": "A CPU", "cores": 2, "memory_gb": 24, "kernel": "6", "python": "3.11", "commit": "abc"}
    machine |= {"uncommitted": False, "nginx": "1", "wrk": "4", "peers": {"python": "3.11", "mosec": "0.9"}}
    names = ("sluice-ray", "mosec-0")
    return {
        "began": "2026-01-01",
        "quick": False,
        "method": "Side by side.",
        "machine": machine,
        "rounds": 1,
        "seconds": 4.0,
        "contenders": {name: {"title": name.upper()} for name in names},
        "workloads": {"mlp": {"model": "mlp", "version": 1, "body_bytes": 250}},
        "turns": [{"contender": name, "round": 0, "problem": None, "ready_s": 1.0} for name in names],
        "cells": list(cells),
        **more,
    }


def test_the_faster_one_stands_first_and_is_compared_with_the_pool() -> None:
    lines = render(results(cell("mosec-0", 20_000), cell("sluice-ray", 50_000))).splitlines()
    ours, theirs = (next(line for line in lines if line.startswith(f"| {name}")) for name in ("SLUICE-RAY", "MOSEC-0"))
    assert lines.index(ours) < lines.index(theirs)
    assert "50,000" in ours
    assert "0.40, one round" in theirs


def test_a_met_and_a_missed_target_can_be_told_apart() -> None:
    met = render(results(cell("mosec-0", 20_000), cell("sluice-ray", 50_000)))
    missed = render(results(cell("mosec-0", 20_000), cell("sluice-ray", 20_000)))
    assert "| >= 2 | 2.50, one round | yes |" in met
    assert "| >= 2 | 1.00, one round | **no** |" in missed


def test_a_target_tells_of_how_many_rounds_it_is_and_leaves_out_those_without_one_of_its_peers() -> None:
    ours = [cell("sluice-ray", 100, round=number) for number in range(3)]
    mosec = [cell("mosec-0", 50), cell("mosec-0", 25, round=1), cell("mosec-0", 80, round=2, other_cores=0.9)]
    other = [cell("mosec-1", 20, round=number) for number in range(3)]
    contenders = {name: {"title": name} for name in ("sluice-ray", "mosec-0", "mosec-1")}
    text = render(results(*ours, *mosec, *other, contenders=contenders))
    assert "| >= 2 | 3.00 (2.00-4.00), 2 rounds | yes |" in text
    assert "A round in which one of them has no figure" in text


def test_an_earlier_checkout_is_named_by_its_commit() -> None:
    contenders = {"sluice-ray": {"title": "Sluice"}, "mosec-0": {"title": "Sluice, earlier", "commit": "0123456789ab"}}
    text = render(results(cell("sluice-ray", 50_000), cell("mosec-0", 20_000), contenders=contenders))
    assert text.count("| Sluice, earlier (0123456789ab) |") == 2


def test_a_noisy_machine_and_a_trial_run_are_said_so() -> None:
    assert "not quiet" not in render(results(cell("mosec-0", 1)))
    assert "not quiet" in render(results(cell("mosec-0", 1, other_cores=0.4)))
    assert "mean nothing" in render(results(quick=True))


def test_a_contender_that_failed_is_listed_with_its_problem() -> None:
    turns = [{"contender": "mosec-0", "round": 0, "problem": "ended with 1\nand a long log"}]
    text = render(results(turns=turns))
    assert "| ended with 1 |" in text
    assert "long log" not in text


def test_stages_are_shown_where_they_were_measured() -> None:
    text = render(results(cell("sluice-ray", 9, stages={"run": 12.34})))
    assert "| sluice-ray | mlp | 64 | 12.3 |" in text


def test_components_are_listed_with_least_and_median() -> None:
    parts = [{"name": "decode", "least_us": 1.234, "median_us": 2.0, "note": "one row"}]
    assert "| decode | 1.23 | 2.00 | one row |" in components({"parts": parts})


def test_a_table_is_markdown() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_of_an_earlier_run_only_what_was_not_asked_since_is_shown() -> None:
    cells = [cell("sluice-ray", 50_000), cell("mosec-0", 20_000), cell("sluice-ray", 40_000, workload="binary")]
    workloads = {name: {"model": "mlp", "version": 1, "body_bytes": 250} for name in ("mlp", "binary")}
    text = render(results(*cells, workloads=workloads), without={"mlp"})
    assert "### binary" in text
    assert "### mlp" not in text
    assert "to the better mosec" not in text


def test_a_load_that_others_disturbed_is_left_out_and_said_so() -> None:
    text = render(results(cell("sluice-ray", 50_000), cell("mosec-0", 20_000, other_cores=0.9)))
    assert "Left out: 1 of 2 loads" in text
    assert "20,000" not in text
    assert "| MOSEC-0 | - |" in text
