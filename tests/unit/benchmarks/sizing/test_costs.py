"""What a request costs is read from the results as they are."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.sizing.__main__ import checks, entity_cost_us, heavy_row_us
from benchmarks.sizing.costs import POOL, costs, line, read, seen


def cell(callers: int, rows: float, *, round_number: int = 0, **more: Any) -> dict[str, Any]:
    """A load by costs of 10 us a request in, 5 out and 60 a batch; 80 us a batch and 0.5 us a row of a replica."""
    worker, replica = 15 + 60 / rows, 0.5 + 80 / rows
    figures = {"per_second": 1e6 / worker, "server_cpu_us": worker + replica, "p50_us": 900, "p99_us": 2_000}
    stages = {"rows a batch": rows, "encode": 20 + 5 * rows}
    who = {"contender": "sluice-ray", "workload": "mlp", "connections": callers, "round": round_number}
    return {**who, **figures, "stages": stages, "failed": 0, "other_cores": 0.0, **more}


def loads(*more: dict[str, Any]) -> dict[str, Any]:
    return {"cells": [cell(1, 1.0), cell(64, 25.0), cell(256, 60.0), *more]}


def test_costs_that_made_the_figures_are_found_again() -> None:
    found = costs(loads())
    parts = (found.gateway_in_us, found.gateway_out_us, found.gateway_batch_us)
    assert parts == pytest.approx((10, 5, 60))
    assert (found.replica_batch_us, found.replica_row_us) == pytest.approx((80, 0.5))
    assert found.worker_us(4) == pytest.approx(30)
    assert found.replica_us(4) == pytest.approx(20.5)


def test_disturbed_and_failed_loads_tell_nothing() -> None:
    bad = [cell(64, 5.0, round_number=1, other_cores=0.9), cell(64, 5.0, round_number=2, failed=3)]
    assert costs(loads(*bad)) == costs(loads())
    with pytest.raises(LookupError, match="sluice-ray by 64 callers: measure it again"):
        seen(bad, "sluice-ray", ("mlp",), 64)


def test_a_line_goes_through_both_points() -> None:
    assert line((1.0, 5.0), (3.0, 9.0)) == (2.0, 3.0)


def test_the_results_make_costs_that_hold_against_what_was_measured() -> None:
    """Within a tenth of the rate, and a quarter of the median, of every number of callers."""
    peers = read(POOL)
    for check in checks(peers, costs(peers)):
        assert check.run.per_second == pytest.approx(check.seen.per_second, rel=0.1)
        assert sorted(check.run.latencies_us)[len(check.run.latencies_us) // 2] == pytest.approx(
            check.seen.p50_us, rel=0.25
        )


def test_ids_cost_a_worker_more_and_the_heavy_model_is_as_heavy_as_its_name() -> None:
    assert 5 < entity_cost_us(read("encodings.json"), costs(read(POOL))) < 20
    assert heavy_row_us(read("sizing-overload.json")) == pytest.approx(1_000, rel=0.15)
