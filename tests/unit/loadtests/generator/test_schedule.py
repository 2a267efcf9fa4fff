"""When requests of an open loop are due."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.generator.schedule import Arrivals, Phase, Process, arrivals, merged, spans

PHASES = [Phase("calm", 100, 10), Phase("load", 2_000, 20), Phase("calm again", 100, 10)]

phases = st.lists(
    st.builds(Phase, st.just("p"), st.floats(0.1, 300), st.floats(0.1, 5), st.none() | st.floats(0, 300)),
    min_size=1,
    max_size=4,
)


def test_the_same_seed_gives_the_same_times_and_another_one_others() -> None:
    assert np.array_equal(arrivals(PHASES, 1), arrivals(PHASES, 1))
    assert not np.array_equal(arrivals(PHASES, 1)[:50], arrivals(PHASES, 2)[:50])


@given(phases, st.integers(0, 1_000), st.sampled_from(["poisson", "constant", "gamma"]))
def test_requests_are_due_in_order_and_within_their_phases(made: list[Phase], seed: int, process: Process) -> None:
    due = arrivals(made, seed, Arrivals(process, 2.0))
    assert np.all(np.diff(due) >= 0)
    assert not len(due) or (due[0] >= 0 and due[-1] <= spans(made)[-1].ended)


def test_each_phase_has_its_own_rate() -> None:
    due = arrivals(PHASES, 3)
    counts = [int(((due >= span.began) & (due < span.ended)).sum()) for span in spans(PHASES)]
    # Within four standard deviations of a Poisson count; the seed is fixed.
    for count, phase in zip(counts, PHASES, strict=True):
        assert abs(count - phase.rate * phase.seconds) < 4 * np.sqrt(phase.rate * phase.seconds)


def test_poisson_gaps_vary_as_much_as_their_mean_and_constant_ones_do_not() -> None:
    gaps = np.diff(arrivals([Phase("load", 1_000, 20)], 5))
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.05)
    assert np.diff(arrivals([Phase("load", 1_000, 2)], 5, Arrivals("constant"))) == pytest.approx(0.001)


def test_bursts_have_the_variation_that_was_asked_for_at_the_same_rate() -> None:
    due = arrivals([Phase("load", 1_000, 60)], 6, Arrivals("gamma", 3.0))
    gaps = np.diff(due)
    assert gaps.std() / gaps.mean() == pytest.approx(3, rel=0.05)
    assert len(due) == pytest.approx(60_000, rel=0.05)


def test_a_ramp_s_rate_grows_in_a_straight_line() -> None:
    due = arrivals([Phase("ramp", 0, 10, 2_000)], 7, Arrivals("constant"))
    assert len(due) == 10_000
    # A quarter of the area is reached after half the time.
    assert (due < 5).sum() == pytest.approx(2_500, abs=2)


def test_streams_are_merged_in_order_and_each_request_keeps_its_stream() -> None:
    due, of = merged([np.array([0.1, 0.4]), np.array([0.2]), np.zeros(0)])
    assert due.tolist() == [0.1, 0.2, 0.4]
    assert of.tolist() == [0, 1, 0]
