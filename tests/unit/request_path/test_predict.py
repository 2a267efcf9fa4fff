"""The request path over a backend that echoes: who is answered what, and who is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from serving.errors import (
    BadRequest,
    DeadlineExceeded,
    ModelFailed,
    NotReady,
    Overloaded,
    Poisonous,
    TooLarge,
    UnknownModel,
)
from serving.inference import Batch, Outputs, Request
from serving.testing.backend import KEY, EchoBackend, row_of
from tests.unit.request_path.conftest import Bench, Caller

MakeBench = Callable[..., Bench]


async def until(happened: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if happened():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never happened")


async def test_every_caller_gets_its_own_rows(make_bench: MakeBench) -> None:
    bench = make_bench()
    callers = [bench.ask(float(number), float(number) + 0.5) for number in range(50)]
    await bench.settle()
    for number, caller in enumerate(callers):
        assert caller.data == row_of(number) + row_of(number + 0.5)


async def test_a_burst_becomes_one_batch(make_bench: MakeBench) -> None:
    bench = make_bench(max_rows=64)
    for number in range(40):
        bench.ask(float(number))
    await bench.settle()
    assert [len(batch) // 8 for batch in bench.backend.batches] == [40]


async def test_rows_are_counted_not_requests(make_bench: MakeBench) -> None:
    bench = make_bench(max_rows=8)
    for number in range(6):
        bench.ask(number, number, number)
    await bench.settle()
    assert [len(batch) // 8 for batch in bench.backend.batches] == [6, 6, 6]


async def test_a_caller_who_leaves_does_not_strand_the_others(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.gate.clear()
    first = bench.ask(1)
    leaver_request = bench.last
    second = bench.ask(2)
    await asyncio.sleep(0.01)
    leaver_request.leave()
    bench.backend.gate.set()
    await bench.settle()
    assert first.outcomes == []
    assert second.data == row_of(2)


async def test_a_row_whose_caller_left_before_the_batch_began_does_not_run(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.ask(1)
    bench.last.leave()
    second = bench.ask(2)
    await bench.settle()
    assert bench.backend.batches == [row_of(2)]
    assert second.data == row_of(2)


async def test_when_the_last_caller_leaves_the_run_is_called_back_and_its_slot_is_free(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.gate.clear()
    bench.ask(1)
    leaver = bench.last
    await asyncio.sleep(0.01)
    leaver.leave()
    await asyncio.sleep(0.01)
    assert bench.backend.cancelled == 1
    bench.backend.gate.set()
    second = bench.ask(2)
    await bench.settle()
    assert second.data == row_of(2)


async def test_a_hanging_model_is_answered_with_504_on_time_and_the_late_answer_is_dropped(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(deadline_ms=60)
    bench.backend.gate.clear()
    caller = bench.ask(1)
    await asyncio.sleep(0.1)
    assert isinstance(caller.error, DeadlineExceeded)
    bench.backend.gate.set()
    await bench.settle()
    assert len(caller.outcomes) == 1


async def test_a_row_that_expired_in_the_queue_never_runs(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.gate.clear()
    bench.ask(1)
    await asyncio.sleep(0.01)
    expired = bench.ask(2, timeout_s=0.2)
    await asyncio.sleep(0.3)
    assert isinstance(expired.error, DeadlineExceeded)
    bench.backend.gate.set()
    await bench.settle()
    assert bench.backend.batches == [row_of(1)]


async def test_a_time_limit_that_is_over_already_is_refused_without_running(make_bench: MakeBench) -> None:
    bench = make_bench()
    caller = bench.ask(1, timeout_s=0.0)
    await bench.settle()
    assert isinstance(caller.error, DeadlineExceeded)
    assert bench.backend.batches == []


async def test_one_bad_row_among_many_fails_alone(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.bad = {row_of(17)}
    callers = [bench.ask(float(number)) for number in range(64)]
    await bench.settle()
    assert isinstance(callers[17].error, ModelFailed)
    for number, caller in enumerate(callers):
        if number != 17:
            assert caller.data == row_of(number)
    assert len(bench.backend.batches) <= 13


async def test_many_bad_rows_cost_a_bounded_number_of_runs(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.bad = {row_of(number) for number in range(64)}
    callers = [bench.ask(float(number)) for number in range(64)]
    await bench.settle()
    assert all(isinstance(caller.error, ModelFailed) for caller in callers)
    assert len(bench.backend.batches) <= 25


async def test_a_caller_who_leaves_during_bisection_does_not_fail_the_others(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.bad = {row_of(0)}
    callers, requests = [], []
    for number in range(4):
        callers.append(bench.ask(float(number)))
        requests.append(bench.last)
    await until(lambda: len(bench.backend.batches) == 2)
    requests[2].leave()
    await bench.settle()
    assert isinstance(callers[0].error, ModelFailed)
    assert callers[1].data == row_of(1)
    assert callers[2].outcomes == []
    assert callers[3].data == row_of(3)


async def test_the_last_caller_of_a_failed_batch_is_not_blamed_for_one_who_left(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.bad = {row_of(0)}
    bench.backend.gate.clear()
    bench.ask(0)
    guilty = bench.last
    innocent = bench.ask(1)
    await until(lambda: bool(bench.backend.batches))
    guilty.leave()
    bench.backend.gate.set()
    await bench.settle()
    assert innocent.data == row_of(1)


async def test_equal_rows_of_one_batch_are_present_at_one_crash(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.replicas = 1
    bench.backend.deadly = {row_of(5)}
    callers = [bench.ask(5) for _ in range(3)]
    await bench.settle()
    assert [type(caller.error) for caller in callers] == [NotReady] * 3
    bench.backend.deadly.clear()
    bench.backend.replicas = 1
    bench.backend.changed()
    again = bench.ask(5)
    await bench.settle()
    assert again.data == row_of(5)


async def test_equal_deadly_rows_fell_no_more_replicas_than_one_of_them(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.deadly = {row_of(5)}
    callers = [bench.ask(5) for _ in range(5)]
    await bench.settle()
    assert [type(caller.error) for caller in callers] == [Poisonous] * 5
    assert bench.backend.crashes == 2


async def test_an_edge_that_raises_does_not_affect_the_others(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.ask(1, caller=Caller(raises=True))
    second = bench.ask(2)
    await bench.settle()
    assert second.data == row_of(2)


async def test_an_edge_that_raises_at_a_deadline_does_not_strand_those_of_the_same_tick(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(deadline_ms=20)
    bench.backend.gate.clear()
    bench.ask(1, caller=Caller(raises=True))
    second = bench.ask(2)
    await asyncio.sleep(0.05)
    assert isinstance(second.error, DeadlineExceeded)


async def test_an_edge_that_raises_when_the_last_replica_goes_does_not_strand_the_others(make_bench: MakeBench) -> None:
    bench = make_bench(max_rows=1)
    bench.backend.gate.clear()
    bench.ask(0)
    await until(lambda: bool(bench.backend.batches))
    bench.ask(1, caller=Caller(raises=True))
    second = bench.ask(2)
    bench.backend.replicas = 0
    bench.backend.changed()
    assert isinstance(second.error, NotReady)
    bench.backend.gate.set()


async def test_a_deadly_row_fells_two_replicas_and_is_refused_while_the_others_are_answered(
    make_bench: MakeBench,
) -> None:
    bench = make_bench()
    bench.backend.deadly = {row_of(3)}
    callers = [bench.ask(float(number)) for number in range(8)]
    await bench.settle()
    assert isinstance(callers[3].error, Poisonous)
    for number, caller in enumerate(callers):
        if number != 3:
            assert caller.data == row_of(number)
    again = bench.ask(3)
    await bench.settle()
    assert isinstance(again.error, Poisonous)
    assert bench.backend.crashes == 2


async def test_a_suspect_that_comes_again_runs_alone(make_bench: MakeBench) -> None:
    backend = EchoBackend()
    backend.replicas = 1
    backend.deadly = {row_of(3)}
    bench = make_bench(backend)
    innocent, deadly = bench.ask(1), bench.ask(3)
    await bench.settle()
    assert isinstance(innocent.error, NotReady)
    assert isinstance(deadly.error, NotReady)
    backend.replicas = 1
    backend.changed()
    callers = [bench.ask(1), bench.ask(3), bench.ask(4)]
    await bench.settle()
    assert backend.alone[:2] == [row_of(1), row_of(3)]
    assert callers[0].data == row_of(1)
    assert isinstance(callers[1].error, Poisonous)
    # A bystander that was queued behind it is told that nobody can answer now, and is not blamed.
    assert isinstance(callers[2].error, NotReady)


async def test_with_no_replica_left_everybody_who_waits_is_told(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.gate.clear()
    bench.ask(1)
    await asyncio.sleep(0.01)
    waiting = bench.ask(2)
    bench.backend.replicas = 0
    bench.backend.changed()
    assert isinstance(waiting.error, NotReady)
    bench.backend.gate.set()


async def test_a_full_queue_refuses_at_once_and_leaving_frees_it(make_bench: MakeBench) -> None:
    bench = make_bench(queue_rows=4, max_rows=2)
    bench.backend.gate.clear()
    bench.ask(0)
    await asyncio.sleep(0.01)
    bench.ask(1, 2)
    leaver = bench.last
    bench.ask(3, 4)
    assert isinstance(bench.ask(5).error, Overloaded)
    leaver.leave()
    accepted = bench.ask(6)
    bench.backend.gate.set()
    await bench.settle()
    assert accepted.data == row_of(6)


async def test_more_rows_than_the_queue_ever_holds_are_too_large(make_bench: MakeBench) -> None:
    bench = make_bench(queue_rows=4)
    assert isinstance(bench.ask(1, 2, 3, 4, 5).error, TooLarge)


async def test_a_large_request_is_joined_from_its_spans_and_small_ones_go_between(make_bench: MakeBench) -> None:
    bench = make_bench(max_rows=10)
    bench.backend.gate.clear()
    large = bench.ask(*[float(number) for number in range(95)])
    await asyncio.sleep(0.01)
    small = bench.ask(1_000)
    bench.backend.gate.set()
    await bench.settle()
    assert large.data == b"".join(row_of(number) for number in range(95))
    assert small.data == row_of(1_000)
    with_small = next(index for index, batch in enumerate(bench.backend.batches) if row_of(1_000) in batch)
    assert with_small <= 2


async def test_the_first_failing_span_answers_a_large_request_and_the_rest_never_starts(make_bench: MakeBench) -> None:
    bench = make_bench(max_rows=10)
    bench.backend.bad = {row_of(3)}
    large = bench.ask(*[float(number) for number in range(95)])
    await bench.settle()
    assert isinstance(large.error, ModelFailed)
    assert len(bench.backend.batches) <= 2


async def test_unknown_models_versions_and_variants_say_what_is_known(make_bench: MakeBench) -> None:
    bench = make_bench()
    for change, error, hint in (
        ({"model": "nope"}, UnknownModel, "'echo'"),
        ({"version": 7}, UnknownModel, "[1]"),
        ({"pinned": "canary"}, BadRequest, "'stable'"),
    ):
        caller = Caller()
        request = Request(KEY.model, [], caller, asyncio.get_running_loop().time())
        for name, value in change.items():
            setattr(request, name, value)
        bench.predictor.accept(request)
        assert isinstance(caller.error, error)
        assert hint in caller.error.message


async def test_what_was_seen_of_a_batch_is_told_once(make_bench: MakeBench) -> None:
    bench = make_bench()
    for number in range(3):
        bench.ask(float(number))
    await bench.settle()
    (seen,) = bench.counts.seen
    assert (seen.key, seen.variant, seen.rows, seen.outcome) == (KEY, "stable", 3, "ok")
    assert len(seen.queue_s) == len(seen.total_s) == 3


async def test_every_refusal_is_counted_by_its_reason(make_bench: MakeBench) -> None:
    bench = make_bench(queue_rows=2, max_rows=1, deadline_ms=40)
    bench.backend.gate.clear()
    bench.ask(0)
    await asyncio.sleep(0.01)
    bench.ask(1, 2)
    bench.ask(3)
    await asyncio.sleep(0.1)
    stranger = Request("client's own text", [], Caller(), asyncio.get_running_loop().time())
    bench.predictor.accept(stranger)
    assert sorted(bench.counts.refusals) == [
        ("", "unknown_model"),
        ("echo", "deadline_exceeded"),
        ("echo", "deadline_exceeded"),
        ("echo", "overloaded"),
    ]
    assert sorted(bench.counts.refused_rows) == [(1, "deadline_exceeded"), (1, "overloaded"), (2, "deadline_exceeded")]
    bench.backend.gate.set()


async def test_what_was_taken_apart_is_told_as_well(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.bad = {row_of(2)}
    for number in range(4):
        bench.ask(float(number))
    await bench.settle()
    told = sorted((seen.outcome, len(seen.total_s)) for seen in bench.counts.seen)
    assert told == [("model_failed", 1), ("ok", 1), ("ok", 2)]
    assert bench.counts.refusals == []


async def test_requests_that_only_together_are_too_large_for_the_way_are_answered(make_bench: MakeBench) -> None:
    class Narrow(EchoBackend):
        async def run(self, batch: Batch) -> Outputs:
            if batch.rows > 3:
                raise TooLarge("more than one frame carries")
            return await super().run(batch)

    bench = make_bench(Narrow())
    callers = [bench.ask(float(number)) for number in range(8)]
    too_large = bench.ask(8, 9, 10, 11)
    await bench.settle()
    assert [caller.data for caller in callers] == [row_of(number) for number in range(8)]
    assert isinstance(too_large.error, TooLarge)
