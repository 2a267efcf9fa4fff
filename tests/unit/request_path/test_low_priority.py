"""Requests of low priority: run in parts between others, and judged by their deadline."""

from __future__ import annotations

from collections.abc import Callable

from serving.errors import WouldBeLate
from serving.testing.backend import KEY, row_of
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


async def test_who_may_wait_is_not_turned_away_for_the_goal_of_those_who_may_not(make_bench: MakeBench) -> None:
    bench = make_bench(max_rows=1, deadline_ms=10_000, latency_slo_us=20_000)
    (variant,) = bench.predictor.variants.all()
    for _ in range(50):
        variant.batcher.pace.saw(1, 0.015)
    bench.backend.gate.clear()
    first, second = bench.ask(1.0), bench.ask(2.0, priority=3)
    assert isinstance(bench.predictor.refusal(KEY.model, None), WouldBeLate)
    assert bench.predictor.refusal(KEY.model, None, priority=3) is None
    assert isinstance(bench.predictor.refusal(KEY.model, None, 0.001, 3), WouldBeLate)
    bench.backend.gate.set()
    await bench.settle()
    assert first.data == row_of(1.0)
    assert second.data == row_of(2.0)
