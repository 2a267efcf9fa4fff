"""Requests of low priority that run in parts, between others."""

from __future__ import annotations

from collections.abc import Callable

from serving.testing.backend import row_of
from tests.unit.request_path.conftest import Bench

MakeBench = Callable[..., Bench]


async def test_bulk_that_fits_into_a_batch_is_joined_from_its_parts_all_the_same(make_bench: MakeBench) -> None:
    bench = make_bench(max_rows=64, latency_slo_us=20_000)
    (variant,) = bench.predictor.variants.all()
    for _ in range(50):
        for rows in (1, 8):
            variant.batcher.pace.saw(rows, 0.001 * rows)
    bulk, leaving = (bench.ask(*[float(number) for number in range(10)], priority=3) for _ in range(2))
    bench.last.leave()
    usual = bench.ask(1_000)
    await bench.settle()
    assert bulk.data == b"".join(row_of(number) for number in range(10))
    assert usual.data == row_of(1_000)
    assert leaving.outcomes == []
    assert max(len(batch) for batch in bench.backend.batches) <= 2 * len(row_of(0.0))
