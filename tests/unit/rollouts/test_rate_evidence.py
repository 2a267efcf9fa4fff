"""Evidence about one rate: how often it is wrong, and how fast it is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.rollouts.rate_evidence import against, begin, grown, kept, pairs_to_keep

LARGEST = 0.02
SLICES = 60


def highest(rates: np.ndarray[tuple[int], np.dtype[np.float64]], seed: int) -> float:
    """The most evidence against at any look, of 50 pairs a slice with these rates."""
    random = np.random.default_rng(seed)
    process, most = begin(), 0.0
    for time_slice, rate in enumerate(rates):
        process = grown(process, LARGEST, [(time_slice, int(random.binomial(50, rate)), 50)])
        most = max(most, against(process))
    return most


@pytest.mark.parametrize("moving", [False, True], ids=["at its limit", "moving below it"])
def test_one_that_keeps_to_its_limit_is_stopped_as_rarely_as_promised_however_often_it_is_looked_at(
    moving: bool,
) -> None:
    rates = LARGEST * np.abs(np.cos(np.arange(SLICES) / 9)) if moving else np.full(SLICES, LARGEST)
    stopped = sum(highest(rates, seed) >= 20 for seed in range(200))
    assert stopped <= 10  # 5 % are allowed; 1 % are usual


def test_a_rate_that_doubles_after_clean_slices_is_found() -> None:
    rates = np.concatenate([np.full(30, 0.002), np.full(60, 3 * LARGEST)])
    assert sum(highest(rates, seed) >= 100 for seed in range(20)) == 20


def test_that_the_limit_is_kept_is_shown_wrongly_as_rarely_as_promised() -> None:
    random = np.random.default_rng(3)
    shown = 0
    for _ in range(200):
        events = np.cumsum(random.binomial(50, LARGEST, SLICES))
        shown += any(kept(LARGEST, int(count), 50 * (place + 1)) >= 20 for place, count in enumerate(events))
    assert shown <= 10  # 5 % are allowed


@pytest.mark.parametrize("largest", [0.001, 0.01, 0.1, 0.5, 0.99])
def test_so_many_pairs_without_an_event_show_that_the_limit_is_kept_and_fewer_do_not(largest: float) -> None:
    pairs = pairs_to_keep(largest, 20)
    assert kept(largest, 0, pairs) >= 20 > kept(largest, 0, pairs - 1)
    # No rule can do with less than this (Wald).
    assert pairs >= np.log(20) / -np.log1p(-largest) - 1


SLICE = st.integers(0, 40).flatmap(lambda pairs: st.tuples(st.integers(0, pairs), st.just(pairs)))


@settings(deadline=None)
@given(st.lists(SLICE, min_size=1, max_size=30), st.integers(0, 30))
def test_a_restart_between_any_two_slices_changes_nothing(slices: list[tuple[int, int]], cut: int) -> None:
    seen = [(place, *counts) for place, counts in enumerate(slices)]
    whole = grown(begin(), LARGEST, seen)
    parted = grown(grown(begin(), LARGEST, seen[:cut]), LARGEST, seen[cut:])
    assert against(parted) == against(whole)
    assert 0 <= kept(LARGEST, sum(one for _, one, _ in seen), sum(pairs for _, _, pairs in seen)) < np.inf
