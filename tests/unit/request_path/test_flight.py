"""What a batch tells of itself; how it answers is seen in test_predict.py."""

from __future__ import annotations

from collections.abc import Callable

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
