"""What a batch tells of itself; how it answers is seen in test_predict.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from serving.testing.backend import row_of
from tests.unit.request_path.conftest import Bench

MakeBench = Callable[..., Bench]


async def test_the_slack_of_a_batch_is_what_its_first_row_had_left(make_bench: MakeBench) -> None:
    bench = make_bench(deadline_ms=1_000, latency_slo_us=300_000)
    bench.ask(1.0)
    await bench.settle()
    bench.ask(1.0, timeout_s=5.0)
    bench.ask(2.0)
    await bench.settle()
    of_the_goal, of_the_caller = [seen.slack_s for seen in bench.counts.seen]
    assert of_the_goal is not None
    assert of_the_caller is not None
    assert 0.0 < of_the_goal <= 0.3
    assert 0.3 < of_the_caller <= 5.0


async def test_a_prediction_is_held_against_the_last_part_of_a_large_request_alone(make_bench: MakeBench) -> None:
    bench = make_bench(max_rows=2, deadline_ms=60_000)
    (variant,) = bench.predictor.variants.all()
    variant.batcher.pace.judged(1e-9, 1.0)
    before = variant.batcher.pace.drag
    bench.backend.gate.clear()
    first, large = bench.ask(1.0), bench.ask(*map(float, range(40)), timeout_s=60.0)
    assert bench.last.predicted_s > 0.0
    bench.last.predicted_s = 1e-9
    # Longer than what is still in time.
    await asyncio.sleep(0.01)
    bench.backend.gate.set()
    await bench.settle()
    assert first.data == row_of(1.0)
    assert large.data == b"".join(map(row_of, range(40)))
    assert variant.batcher.pace.drag == before * 1.02
