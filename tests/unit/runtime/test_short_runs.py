"""Only runs that were measured short stay on the event loop."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.runtime.short_runs import LONGEST_INLINE_S, ShortRuns

SHORT, LONG = LONGEST_INLINE_S / 2, LONGEST_INLINE_S * 2


def test_a_run_of_twice_the_size_and_quadratic_time_still_fits_a_callback() -> None:
    assert LONGEST_INLINE_S * 4 < 0.010


@given(st.integers(0, 10**9))
def test_what_was_never_measured_is_not_short(size: int) -> None:
    assert not ShortRuns().allow(size)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_short_run_speaks_for_no_run_of_more_than_twice_its_size(measured: int, asked: int) -> None:
    short = ShortRuns()
    short.saw(measured, SHORT)
    assert short.allow(measured)
    assert not (short.allow(asked) and asked >= 2 * measured)


def test_a_long_run_is_followed_by_runs_in_a_thread_and_then_by_another_try() -> None:
    short = ShortRuns()
    short.saw(8, SHORT)
    short.saw(8, LONG)
    assert runs_until_allowed(short, SHORT) == 32
    short.saw(8, SHORT)
    assert short.allow(8)


def test_a_run_that_was_only_interrupted_costs_the_same_each_time() -> None:
    short = ShortRuns()
    for _ in range(20):
        short.saw(8, LONG)
        assert runs_until_allowed(short, SHORT) == 32


def test_the_tries_of_a_model_that_stays_long_become_rare_but_never_end() -> None:
    short = ShortRuns()
    holds = []
    for _ in range(14):
        short.saw(8, LONG)
        holds.append(runs_until_allowed(short, LONG))
    assert holds[:3] == [32, 64, 128]
    assert holds[-2:] == [65_536, 65_536]


def test_sizes_do_not_judge_each_other() -> None:
    short = ShortRuns()
    short.saw(1, SHORT)
    short.saw(64, LONG)
    assert short.allow(1)
    assert not short.allow(64)


def runs_until_allowed(short: ShortRuns, run_s: float) -> int:
    count = 0
    while not short.allow(8):
        short.saw(8, run_s)
        count += 1
    return count
