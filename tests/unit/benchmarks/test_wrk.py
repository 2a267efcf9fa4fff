"""What the load generator tells."""

from __future__ import annotations

import pytest

from benchmarks.wrk import parse

FIGURES = {
    "requests": 1010,
    "duration_us": 2_000_000,
    "bytes": 101_000,
    "p50_us": 100,
    "p90_us": 150,
    "p99_us": 900,
    "max_us": 2000,
    "errors": {"status": 10, "connect": 0, "read": 1, "write": 0, "timeout": 3},
}


def test_failed_answers_are_no_throughput() -> None:
    assert parse(FIGURES).per_second == pytest.approx(500)


def test_refused_and_broken_answers_failed_and_late_ones_are_late() -> None:
    load = parse(FIGURES)
    assert (load.failed, load.late) == (11, 3)
    assert load.answer_bytes == 100
