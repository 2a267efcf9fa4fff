"""Stages from two scrapes of the metrics."""

from __future__ import annotations

import pytest

from benchmarks.stages import ROWS, parse, since

EXPOSITION = """\
# HELP sluice_stage_seconds Time by stage.
# TYPE sluice_stage_seconds histogram
sluice_stage_seconds_bucket{stage="decode",le="0.001"} 10
sluice_stage_seconds_sum{stage="decode"} 0.002
sluice_stage_seconds_count{stage="decode"} 100
sluice_stage_seconds_sum{model="a",stage="run"} 1.5e-3
sluice_stage_seconds_count{model="a",stage="run"} 10
sluice_stage_seconds_sum{model="b",stage="run"} 0.0005
sluice_stage_seconds_count{model="b",stage="run"} 10
sluice_batch_rows_sum{model="a"} 700
sluice_batch_rows_count{model="a"} 20
sluice_connections 12
process_cpu_seconds_total 8
# EOF
"""


def test_stages_are_summed_over_all_other_labels() -> None:
    totals = parse(EXPOSITION)
    assert totals["decode"] == (0.002, 100.0)
    assert totals["run"] == pytest.approx((0.002, 20))


def test_rows_are_counted_beside_them_and_nothing_else_is() -> None:
    totals = parse(EXPOSITION)
    assert totals[ROWS] == (700.0, 20.0)
    assert set(totals) == {"decode", "run", ROWS}


def test_only_what_happened_in_between_counts() -> None:
    before = {"run": (1.0, 10.0), "idle": (5.0, 5.0), ROWS: (100.0, 10.0)}
    after = {"run": (1.002, 20.0), "idle": (5.0, 5.0), "encode": (0.001, 4.0), ROWS: (420.0, 20.0)}
    assert since(before, after) == pytest.approx({"run": 200, "encode": 250, ROWS: 32})
