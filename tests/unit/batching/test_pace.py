"""What follows from an estimate: who is let in without a closer look, and what may join."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.batching.admission import Ahead
from serving.batching.arrivals import Arrivals
from serving.batching.estimates import Estimates
from serving.batching.latency_model import Estimate, LatencyModel
from serving.batching.pace import Pace
from serving.inference import VersionKey

ESTIMATES = st.builds(Estimate, st.floats(0.0, 0.05), st.floats(0.0, 0.05), st.floats(1.0, 10.0))


@given(ESTIMATES, st.floats(0.001, 5.0), st.integers(1, 256), st.integers(1, 4), st.integers(1, 256))
def test_who_is_let_in_at_a_glance_would_have_been_let_in_after_a_closer_look(
    estimate: Estimate, goal_s: float, most_rows: int, servers: int, rows: int
) -> None:
    pace = Pace(LatencyModel(estimate), goal_s, most_rows)
    pace.serve_by(servers)
    if pace.sure_rows < rows:
        return
    # All of it before the request's own rows, behind two batches on every server.
    before = min(pace.sure_rows, 10**6) - rows
    running_s = 2.0 * estimate.run_s(pace.window.most_rows)
    for coming_per_s in (0.0, 1e6):
        ahead = Ahead(running_s, before, pace.window.most_rows, pace.servers, coming_per_s=coming_per_s)
        assert pace.finish_s(ahead, rows) <= goal_s


@given(ESTIMATES, st.floats(0.001, 5.0), st.integers(1, 256))
def test_bulk_batches_are_short_and_what_joins_costs_little(estimate: Estimate, goal_s: float, most_rows: int) -> None:
    pace = Pace(LatencyModel(estimate), goal_s, most_rows)
    assert 1 <= pace.bulk_rows <= pace.window.most_rows
    assert pace.bulk_rows == 1 or estimate.run_s(pace.bulk_rows) <= max(0.002, 1.5 * estimate.fixed_s) + 1e-9
    joined = min(pace.joining_rows, 10**6)
    assert estimate.run_s(1 + joined) <= 1.1 * estimate.run_s(1) + 1e-9


@given(st.floats(0.001, 0.05), st.floats(1e-6, 0.05), st.floats(0.001, 5.0))
def test_bulk_has_batches_also_on_a_model_that_is_dear_to_begin(fixed_s: float, row_s: float, goal_s: float) -> None:
    estimate = Estimate(fixed_s, row_s, 1.0)
    pace = Pace(LatencyModel(estimate), goal_s, 64)
    most = pace.window.most_rows
    # A third of the rows a second that its largest batches would have, where a row is a small part of a run.
    if row_s < fixed_s / 20:
        assert pace.bulk_rows / estimate.run_s(pace.bulk_rows) >= 0.3 * most / estimate.run_s(most)


def test_short_runs_are_learned_from_now_and_then_and_long_ones_always() -> None:
    for run_s, learned in ((2e-5, 64 + 60), (0.02, 1_024)):
        model = LatencyModel(Estimate(run_s, 0.0, 1.0))
        pace = Pace(model, 1.0, 64)
        for _ in range(1_024):
            pace.saw(1, run_s)
        assert model.runs == learned


def test_a_version_keeps_its_estimate_when_its_queue_is_made_anew() -> None:
    estimates = Estimates()
    key = VersionKey("m", 1)
    model = estimates.model("default", key, 0.004)
    assert model.estimate.run_s(1) == 0.004
    model.saw(1, 0.008)
    assert estimates.model("default", key, 0.1) is model
    assert estimates.model("other", key, 0.1) is not model
    assert set(estimates.learned()) == {("default", key)}


def test_a_worker_begins_with_what_an_earlier_one_learned() -> None:
    estimates = Estimates()
    key = VersionKey("m", 1)
    estimates.remember({("default", key): Estimate(0.5, 0.25, 2.0)})
    assert estimates.model("default", key, 0.004).estimate == Estimate(0.5, 0.25, 2.0)
    assert estimates.learned() == {}
    estimates.remember({("other", key): Estimate(0.5, 0.25, 2.0)})
    estimates.forget(key)
    assert estimates.model("default", key, 0.004).estimate.run_s(1) == 0.004
    assert estimates.model("other", key, 0.004).estimate.run_s(1) == 0.004


def test_the_gap_between_requests_follows_their_pace() -> None:
    arrivals = Arrivals(0.005)
    dear = Estimate(0.010, 0.0001, 1.0)
    assert arrivals.wait_s(dear, 1, 1.0) == 0.0
    for number in range(100):
        arrivals.saw(number * 0.001)
    assert arrivals.wait_s(dear, 1, 1.0) > 0.0
    for number in range(100):
        arrivals.saw(1.0 + number * 0.5)
    assert arrivals.wait_s(dear, 1, 1.0) == 0.0
    # However long nobody came.
    for number in range(20):
        arrivals.saw(3_600.0 + number * 0.001)
    assert arrivals.wait_s(dear, 1, 1.0) > 0.0


def test_what_a_short_wait_was_longer_than_thought_is_not_multiplied_into_long_ones() -> None:
    pace = Pace(LatencyModel(Estimate(0.0, 0.001, 1.0)), 0.05, 64)
    for _ in range(2_000):
        # Three times as long as predicted, and 2 ms: nothing to a goal of 50.
        pace.judged(0.001, 0.003)
    assert pace.drag == 1.0
    # Of what its caller allows it is much.
    pace.judged(0.001, 0.003, 0.005)
    assert pace.drag > 1.0
    for _ in range(2_000):
        predicted_s = 0.02 * pace.drag
        pace.judged(predicted_s, 0.04)
    assert 1.8 <= pace.drag <= 2.0
