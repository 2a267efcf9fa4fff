"""Which requests are traced, and what their traces look like."""

from __future__ import annotations

import gc
from weakref import ref

import pytest

from serving.errors import (
    DeadlineExceeded,
    FeaturesAway,
    ModelFailed,
    NotReady,
    TokenMissing,
    TooLarge,
    UnknownModel,
    WouldBeLate,
)
from serving.inference import CallerContext, Request
from serving.telemetry.tracing.tracer import TraceOptions
from tests.unit.telemetry.tracing.bench import DAY_S, PARENT, TRACE, Bench, Nobody, asked_for, request

NOTHING = TraceOptions(share=0.0, slow_s=None, failed=False)
ALL = TraceOptions(share=1.0)


def ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1e6 - DAY_S * 1e3, 6)


def test_stages_are_children_of_the_request_and_the_run_of_the_hop() -> None:
    bench = Bench(ALL)
    bench.answer(request(features_s=0.0015))
    by_name = {span.name: span for span in bench.spans}
    parents = {span.name: {one.span_id: one.name for one in bench.spans}.get(span.parent, "") for span in bench.spans}
    assert parents == {
        "predict m": "",
        "decode": "predict m",
        "features": "predict m",
        "queue": "predict m",
        "encode": "predict m",
        "batch": "predict m",
        "hop": "batch",
        "wait": "hop",
        "run": "hop",
    }
    assert {name: (ms(one.start), ms(one.end)) for name, one in by_name.items()} == {
        "predict m": (0.0, 10.0),
        "decode": (0.0, 1.0),
        "features": (1.5, 3.0),
        "queue": (3.0, 4.0),
        "batch": (4.0, 8.0),
        "hop": (4.0, 8.0),
        # What the hop took beside them is shared out evenly.
        "wait": (4.75, 5.25),
        "run": (5.25, 7.25),
        "encode": (8.0, 10.0),
    }
    assert {span.trace_id for span in bench.spans} == {by_name["run"].trace_id}
    assert len({span.span_id for span in bench.spans}) == len(bench.spans)


def test_the_run_is_of_the_replica_and_all_else_of_the_gateway() -> None:
    bench = Bench(ALL)
    bench.answer(request())
    of = {
        (span.service, span.instance): {one.name for one in bench.spans if one.service == span.service}
        for span in bench.spans
    }
    assert of.pop(("sluice-pool", "r1")) == {"run", "wait"}
    assert len(of) == 1


def test_a_run_in_this_process_has_no_hop() -> None:
    bench = Bench(ALL)
    bench.answer(request(), replica="")
    (run,), (batch,) = bench.named("run"), bench.named("batch")
    assert run.parent == batch.span_id
    assert not bench.named("hop")


def test_a_batch_is_linked_to_its_other_requests_and_they_to_it() -> None:
    bench = Bench(ALL)
    bench.answer(request(), request(), request())
    (batch,) = bench.named("batch")
    first, second, third = bench.named("predict m")
    assert (batch.trace_id, batch.parent) == (first.trace_id, first.span_id)
    assert batch.links == ((second.trace_id, second.span_id), (third.trace_id, third.span_id))
    assert first.links == ()
    assert second.links == third.links == ((batch.trace_id, batch.span_id),)
    assert batch.attributes["sluice.batch.requests"] == 3


def test_a_request_goes_on_with_its_callers_trace() -> None:
    bench = Bench(NOTHING)
    bench.answer(request(asked_for(state=b"vendor=1", name=b"r-17")))
    (root,) = bench.named("predict m")
    assert (root.trace_id, root.parent, root.state) == (TRACE, PARENT, "vendor=1")
    assert root.attributes["sluice.request_id"] == "r-17"
    assert root.attributes["sluice.traced"] == "sampled"
    assert {span.trace_id for span in bench.spans} == {TRACE}


@pytest.mark.parametrize("context", [None, asked_for("00"), CallerContext(request_id=b"r")])
def test_what_nobody_asks_for_is_not_traced(context: CallerContext | None) -> None:
    bench = Bench(NOTHING)
    bench.answer(request(context))
    bench.tracer.refused(request(context), DeadlineExceeded("late"), 1.0)
    assert not bench.spans


def test_a_caller_that_does_not_trace_a_request_decides_that_for_the_share_too() -> None:
    bench = Bench(TraceOptions(share=1.0, slow_s=None))
    bench.answer(request(asked_for("00")))
    assert not bench.spans


def test_callers_that_are_not_followed_decide_nothing() -> None:
    bench = Bench(TraceOptions(share=0.0, follow_callers=False))
    bench.answer(request(asked_for("01")))
    assert not bench.spans
    bench = Bench(TraceOptions(share=1.0, follow_callers=False))
    bench.answer(request(asked_for("00", b"vendor=1")))
    # A trace of its own, which leads to theirs.
    (root,) = bench.named("predict m")
    assert (root.parent, root.state, root.links) == ("", "", ((TRACE, PARENT),))
    assert TRACE not in {span.trace_id for span in bench.spans}


def test_slow_ones_are_traced_whatever_their_caller_says() -> None:
    bench = Bench(TraceOptions(share=0.0, slow_s=0.5))
    bench.answer(request(), request(asked_for("00")), at=0.5)
    assert not bench.spans
    bench.answer(request(), request(asked_for("00")), at=0.6)
    assert [root.attributes["sluice.traced"] for root in bench.named("predict m")] == ["slow", "slow"]


def test_failed_ones_are_traced_and_mistakes_of_callers_are_none() -> None:
    bench = Bench(TraceOptions(share=0.0))
    bench.answer(request(), outcome="too_large")
    bench.tracer.refused(request(), TooLarge("many rows"), 0.02)
    assert not bench.spans
    bench.answer(request(), outcome="model_failed")
    (root,) = bench.named("predict m")
    assert root.failed
    assert root.attributes["sluice.outcome"] == "model_failed"
    assert not bench.exemplars


def test_one_that_is_refused_outside_of_a_batch_has_waited_until_then() -> None:
    bench = Bench(TraceOptions(share=0.0))
    assert bench.tracer.refused(request(), DeadlineExceeded("late"), 0.05)
    assert [(span.name, ms(span.start), ms(span.end)) for span in bench.spans] == [
        ("predict m", 0.0, 50.0),
        ("decode", 0.0, 1.0),
        ("queue", 3.0, 50.0),
    ]
    assert [span.failed for span in bench.spans] == [True, False, False]


def test_one_that_is_refused_while_its_batch_runs_has_waited_until_that_was_taken() -> None:
    bench = Bench(TraceOptions(share=0.0))
    late = request()
    late.taken_at = 0.004
    assert bench.tracer.refused(late, DeadlineExceeded("late"), 0.05)
    assert [(span.name, ms(span.start), ms(span.end)) for span in bench.spans] == [
        ("predict m", 0.0, 50.0),
        ("decode", 0.0, 1.0),
        ("queue", 3.0, 4.0),
        ("batch", 4.0, 50.0),
    ]
    assert bench.named("batch")[0].attributes == {"sluice.batch.left": True}


def test_a_batch_that_failed_says_so_and_not_where_it_ran() -> None:
    bench = Bench(TraceOptions(share=0.0))
    bench.answer(request(), outcome="model_failed", replica="")
    assert [(span.name, span.failed) for span in bench.spans] == [
        ("predict m", True),
        ("decode", False),
        ("queue", False),
        ("batch", True),
    ]


def test_a_name_that_no_route_has_is_in_no_span() -> None:
    bench = Bench(ALL)
    stranger = Request("the caller's own text", (), Nobody(), 0.0)
    bench.tracer.refused(stranger, UnknownModel("no such model"), 0.05)
    assert [span.name for span in bench.spans] == ["predict unknown"]
    assert "own text" not in str(bench.spans)


def test_each_kind_has_its_bound_and_what_is_beyond_it_is_counted() -> None:
    bench = Bench(TraceOptions(share=0.0, slow_s=0.5, per_s=2.0))
    bench.answer(*[request(asked_for()) for _ in range(3)])
    bench.answer(*[request() for _ in range(3)], at=0.6)
    assert bench.tracer.counts == {"sampled": 2, "slow": 2, "failed": 0, "limited": 2}
    bench.answer(request(asked_for()), at=1.2)
    assert bench.tracer.counts["sampled"] == 3


def test_what_has_no_room_as_a_sample_is_traced_where_it_is_slow_or_fails() -> None:
    bench = Bench(TraceOptions(share=0.0, slow_s=0.5, per_s=1.0))
    bench.answer(request(asked_for()))
    bench.answer(request(asked_for()), at=0.6)
    bench.answer(request(asked_for()), at=0.6, outcome="model_failed")
    assert bench.tracer.counts == {"sampled": 1, "slow": 1, "failed": 0, "limited": 1}
    assert [root.attributes["sluice.traced"] for root in bench.named("predict m")] == ["sampled", "slow"]


def test_traced_requests_are_exemplars_of_how_long_requests_take() -> None:
    bench = Bench(TraceOptions(share=0.0))
    bench.answer(request(asked_for()), request())
    assert [(variant, *told) for _, variant, *told in bench.exemplars] == [("stable", 0.010, TRACE, DAY_S + 0.010)]


def test_spans_of_many_traces_are_made_together_and_of_fewer_when_asked_for() -> None:
    bench = Bench(ALL)
    for _ in range(31):
        bench.answer(request())
    assert not bench.made
    bench.answer(request())
    assert len({span.trace_id for span in bench.made}) == 32
    bench.answer(request())
    assert len({span.trace_id for span in bench.made}) == 32
    bench.tracer.flush()
    bench.tracer.flush()
    assert len({span.trace_id for span in bench.made}) == 33


def test_a_request_that_is_answered_does_not_stay_until_its_spans_are_made() -> None:
    bench = Bench(ALL)
    one = request()
    caller = ref(one.caller)
    bench.answer(one)
    del one
    gc.collect()
    assert caller() is None
    assert bench.named("predict m")


def test_what_an_edge_turns_away_is_a_span_of_a_caller_that_traces_it() -> None:
    bench = Bench(NOTHING)
    assert bench.tracer.turned_away("", "unknown_path", asked_for(state=b"vendor=1", name=b"r-17")) == TRACE
    assert bench.tracer.turned_away("m", "overloaded", asked_for()) == TRACE
    mistake, busy = bench.named("refused")
    assert (mistake.trace_id, mistake.parent, mistake.state) == (TRACE, PARENT, "vendor=1")
    assert mistake.attributes == {
        "sluice.model": "unknown",
        "sluice.outcome": "unknown_path",
        "sluice.traced": "sampled",
        "sluice.request_id": "r-17",
    }
    assert (mistake.failed, busy.failed) == (False, True)
    assert (mistake.start, ms(mistake.end)) == (mistake.end, 0.0)
    assert busy.attributes["sluice.model"] == "m"
    assert mistake.span_id != busy.span_id


@pytest.mark.parametrize(
    ("reason", "failed"),
    [
        (WouldBeLate.reason, True),
        (FeaturesAway.reason, True),
        (NotReady.reason, True),
        (ModelFailed.reason, True),
        (TooLarge.reason, False),
        (TokenMissing.reason, False),
        ("client_timeout", False),
    ],
)
def test_what_an_edge_turns_away_has_failed_unless_its_caller_was_mistaken(reason: str, *, failed: bool) -> None:
    bench = Bench(NOTHING)
    assert bench.tracer.turned_away("m", reason, asked_for())
    (span,) = bench.named("refused")
    assert (span.attributes["sluice.outcome"], span.failed) == (reason, failed)


def test_what_an_edge_turns_away_of_others_is_no_span() -> None:
    bench = Bench(ALL)
    for context in (None, asked_for("00"), CallerContext(request_id=b"r-17")):
        assert not bench.tracer.turned_away("m", "overloaded", context)
    stranger = Bench(TraceOptions(follow_callers=False))
    assert not stranger.tracer.turned_away("m", "overloaded", asked_for())
    bound = Bench(TraceOptions(per_s=1.0))
    assert [bool(bound.tracer.turned_away("m", "overloaded", asked_for())) for _ in range(3)] == [True, False, False]
    assert bound.tracer.counts["limited"] == 2
    assert not bench.spans + stranger.spans
