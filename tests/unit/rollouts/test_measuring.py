"""What the stable version's own answers say of where bounds and edges belong."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.rollouts.measuring import ENOUGH, FINE_BOUNDS_US, FINE_EDGES, Basis, Measurement


def counted(took_us: np.ndarray[tuple[int], np.dtype[np.float64]], scores: object = ()) -> dict[str, int]:
    """As a worker counts answers under the fine bounds and edges."""
    over = {f"5|slow.{place}.0": int((took_us > bound).sum()) for place, bound in enumerate(FINE_BOUNDS_US)}
    bins = np.bincount(np.searchsorted(FINE_EDGES, np.asarray(scores, float), side="right"))
    return {
        "requests|1": took_us.size,
        "5|ran.0": took_us.size,
        **{field: count for field, count in over.items() if count},
        **{f"5|scores.{place}": int(count) for place, count in enumerate(bins) if count},
    }


def answers(median_us: float, requests: int = 2_000) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return median_us * np.exp(0.4 * np.random.default_rng(7).normal(size=requests))


def test_bounds_lie_around_what_answers_take_and_tails_where_a_tenth_and_a_hundredth_are_above() -> None:
    took = answers(8_000)
    basis = Measurement.of([counted(took)]).basis()
    above = [float((took > bound).mean()) for bound in basis.latency_bounds_us]
    ninety, ninety_nine = (above[place] for place in basis.tails)
    assert 0.05 < ninety < 0.2
    assert 0.003 < ninety_nine < 0.03
    assert above[0] > 0.8
    assert above[-1] < 0.001


def test_edges_part_scores_into_about_equally_many() -> None:
    scores = np.random.default_rng(3).beta(2, 5, 5_000)
    edges = Measurement.of([counted(answers(500, 5_000), scores)]).basis().score_edges
    shares = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=10) / scores.size
    assert len(edges) == 9
    assert 0.05 < shares.min() <= shares.max() < 0.16


def test_scores_that_are_all_alike_or_few_give_no_gate() -> None:
    assert Measurement.of([counted(answers(500))]).basis().measured().score_bins == 0
    few = counted(answers(500, ENOUGH // 20), np.linspace(0, 1, ENOUGH // 20))
    assert Measurement.of([few]).basis().measured().score_bins == 0


def test_hardly_any_answers_leave_the_bounds_of_the_default() -> None:
    assert Measurement.of([]).basis() == Basis()
    assert Measurement.of([counted(answers(500, 10))]).basis() == Basis()


def test_strata_of_several_slices_add_up() -> None:
    took = answers(2_000)
    parts = [counted(took[:700]), counted(took[700:])]
    assert Measurement.of(parts) == Measurement.of([counted(took)])


@given(st.lists(st.floats(1, 1e8), min_size=0, max_size=200), st.lists(st.floats(-1e7, 1e7), max_size=200))
def test_whatever_was_measured_bounds_and_edges_grow_and_tails_are_among_them(
    took: list[float], scores: list[float]
) -> None:
    basis = Measurement.of([counted(np.array(took), scores)]).basis()
    assert list(basis.latency_bounds_us) == sorted(set(basis.latency_bounds_us))
    assert list(basis.score_edges) == sorted(set(basis.score_edges))
    assert all(0 <= place < len(basis.latency_bounds_us) for place in basis.tails)
    assert Basis.load(basis.dump()) == basis
