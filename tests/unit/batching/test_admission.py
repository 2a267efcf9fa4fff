"""The prediction that admission rests on, against a queue that is played through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.batching.admission import Ahead, finish_s
from serving.batching.latency_model import Estimate

EXACT = st.builds(Estimate, st.floats(0.0, 0.05), st.floats(1e-5, 0.05), st.just(1.0))


def played(ahead: Ahead, estimate: Estimate, rows: int) -> float:
    """When the last row ends where batches of what waits run one after another on one server."""
    waiting = ahead.rows + rows
    now = ahead.running_s
    while waiting:
        batch = min(waiting, ahead.batch_rows)
        now += estimate.run_s(batch)
        waiting -= batch
    return now


@given(EXACT, st.floats(0.0, 1.0), st.integers(0, 500), st.integers(1, 64), st.integers(1, 200))
def test_with_known_run_times_the_prediction_is_never_early_and_at_most_a_batch_late(
    estimate: Estimate, running_s: float, before: int, batch_rows: int, rows: int
) -> None:
    ahead = Ahead(running_s, before, batch_rows)
    predicted, really = finish_s(ahead, estimate, rows), played(ahead, estimate, rows)
    assert really <= predicted * (1.0 + 1e-9)
    assert predicted <= really + estimate.run_s(batch_rows)


@given(EXACT, st.integers(0, 500), st.integers(1, 64), st.integers(1, 100), st.integers(1, 8))
def test_more_before_it_never_makes_a_request_earlier_and_more_servers_never_later(
    estimate: Estimate, before: int, batch_rows: int, rows: int, servers: int
) -> None:
    ahead = Ahead(0.01, before, batch_rows, servers)
    finish = finish_s(ahead, estimate, rows)
    for more in (
        ahead._replace(rows=before + 7),
        ahead._replace(running_s=0.02),
        ahead._replace(others_s=0.5),
        ahead._replace(lag_s=0.1),
        ahead._replace(drained_s=0.7),
        ahead._replace(coming_per_s=900.0),
    ):
        assert finish_s(more, estimate, rows) >= finish * (1.0 - 1e-9)
    assert finish_s(ahead._replace(servers=servers + 1), estimate, rows) <= finish * (1.0 + 1e-9)


def test_others_take_turns_and_never_more_than_their_share() -> None:
    estimate = Estimate(0.0, 0.001, margin=1.0)
    alone = finish_s(Ahead(0.0, 0, 10), estimate, 10)
    assert finish_s(Ahead(0.0, 0, 10, others_s=0.002), estimate, 10) == pytest.approx(alone + 0.002)
    assert finish_s(Ahead(0.0, 0, 10, others_s=60.0), estimate, 10) == pytest.approx(2.0 * alone)


def test_a_batch_takes_along_who_comes_before_it_begins() -> None:
    estimate = Estimate(0.0, 0.001, margin=1.0)
    before = Ahead(0.010, 2, 16)
    assert finish_s(before, estimate, 1) == pytest.approx(0.013)
    assert finish_s(before._replace(coming_per_s=500.0), estimate, 1) == pytest.approx(0.018)
    # No more than run together, and nobody where it begins at once.
    assert finish_s(before._replace(coming_per_s=1e6), estimate, 1) == pytest.approx(0.026)
    assert finish_s(before._replace(running_s=0.0, coming_per_s=1e6), estimate, 1) == pytest.approx(0.003)


def test_an_idle_server_answers_in_the_time_of_a_slow_run() -> None:
    estimate = Estimate(0.002, 0.001, margin=2.0)
    assert finish_s(Ahead(0.0, 0, 64), estimate, 1) == pytest.approx(0.006)
