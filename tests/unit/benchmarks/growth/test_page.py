"""What the section on growth shows."""

from __future__ import annotations

from typing import Any

from benchmarks.growth.page import render


def cell(name: str, series: str, size: int, rate: float, **more: Any) -> dict[str, Any]:
    figures = {"per_second": rate, "rows_per_second": rate * 2, "p50_us": 1500.0, "p99_us": 4000.0, "failed": 0}
    return {"contender": name, "series": series, "size": size, "round": 0, **figures, **more}


def page(*cells: dict[str, Any], **more: Any) -> str:
    machine = {"commit": "abc", "compiled": True}
    head = {"began": "2026-01-01", "method": "As it grows.", "machine": machine, "rounds": 1, "seconds": 2.0}
    return render({**head, "problems": [], "cells": list(cells), **more})


def test_the_median_of_the_rounds_stands_beside_its_size() -> None:
    text = page(*(cell("sluice-ray", "clients", 64, rate) for rate in (10.0, 30_000.0, 99_000.0)))
    assert "| 64 | 30,000, 1.50 / 4.00 |" in text


def test_requests_of_many_rows_are_counted_in_rows() -> None:
    assert "| 2 | 2,000, 1.50 / 4.00 |" in page(cell("sluice-ray", "rows", 2, 1_000.0))


def test_a_load_with_failed_answers_has_no_figure() -> None:
    text = page(cell("sluice-ray", "models", 5, 9.0, failed=1), cell("sluice-in-process", "models", 5, 7.0))
    assert "| 5 |  | 7, 1.50 / 4.00 |" in text


def test_a_shape_that_did_not_come_up_is_told() -> None:
    assert "* sluice-ray: ended" in page(problems=["sluice-ray: ended"])
