"""Reads to the line of a table."""

from __future__ import annotations

import pytest

from serving.features.health.read_bench import summary


def test_percentiles_are_reads_that_were_measured() -> None:
    line = summary(10, [0.001 * number for number in range(100, 0, -1)])
    assert (line.rows, line.reads) == (10, 100)
    assert line.p50_ms == pytest.approx(51)
    assert line.p99_ms == pytest.approx(100)
    assert line.rows_per_s == pytest.approx(1_000 / 5.05)
