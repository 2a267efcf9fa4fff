"""Live figures are differences of two scrapes."""

from __future__ import annotations

from math import inf

import pytest

from serving.cli.live_figures import between, parse, percentile

SCRAPE = """# TYPE sluice_stage_seconds histogram
sluice_stage_seconds_bucket{stage="total",model="m",version="2",variant="stable",le="0.001"} 10
sluice_stage_seconds_bucket{stage="total",model="m",version="2",variant="stable",le="0.002"} 30
sluice_stage_seconds_bucket{stage="total",model="m",version="2",variant="stable",le="+Inf"} 30
sluice_stage_seconds_bucket{stage="run",model="m",version="2",variant="stable",le="+Inf"} 99
sluice_stage_seconds_count{stage="total",model="m",version="2",variant="stable"} 30
# EOF
"""


def test_only_the_total_time_is_read() -> None:
    assert parse(SCRAPE) == {"2": {0.001: 10, 0.002: 30, inf: 30}}


def test_what_was_before_the_first_scrape_does_not_count() -> None:
    later = {"2": {0.001: 10.0, 0.002: 130.0, inf: 130.0}}
    (figures,) = between(parse(SCRAPE), later, 2.0)
    assert figures.requests_s == 50
    assert figures.p50_ms == pytest.approx(1.5)
    assert figures.p99_ms == pytest.approx(1.99)


def test_a_version_that_nobody_asked_is_left_out() -> None:
    assert between(parse(SCRAPE), parse(SCRAPE), 1.0) == []


def test_a_new_version_counts_from_nothing() -> None:
    assert [figures.version for figures in between({}, parse(SCRAPE), 1.0)] == ["2"]


def test_percentiles_of_nothing_are_unknown_and_beyond_the_last_bound_they_are_the_bound() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({0.5: 0, inf: 4}, 0.5) == 500
