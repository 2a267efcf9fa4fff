"""How long a row may be used."""

from __future__ import annotations

from math import exp

from hypothesis import given
from hypothesis import strategies as st

from serving.features.cache.lifetime import UNHEARD_TTL_S, Lifetime, ends_of, negative_ends_of, refreshed_early

DRAW = st.floats(0, 1, exclude_max=True)
LIFETIMES = st.builds(Lifetime, st.floats(0.001, 1e6), st.floats(0, 1e6), st.floats(0.001, 1e6), st.booleans())


@given(LIFETIMES, st.floats(0, 1e6), st.floats(0, 10), DRAW, st.booleans())
def test_no_row_is_used_longer_than_its_hard_limit(
    lifetime: Lifetime, began: float, cost_s: float, draw: float, heard: bool
) -> None:
    ends = ends_of(lifetime, began, cost_s, draw, heard=heard)
    assert began <= ends.quiet <= ends.fresh <= ends.refreshed <= ends.hard
    assert ends.hard == began + lifetime.ttl_s + lifetime.stale_for_s
    negative = negative_ends_of(lifetime, began, draw, heard=heard)
    assert negative.hard <= began + lifetime.negative_ttl_s


@given(st.floats(1, 1e4), DRAW)
def test_rows_read_together_end_within_a_tenth_of_their_ttl_of_each_other(ttl_s: float, draw: float) -> None:
    fresh = ends_of(Lifetime(ttl_s), 0.0, 0.0, draw, heard=True).fresh
    assert 0.9 * ttl_s <= fresh <= 1.1 * ttl_s


def test_jitter_spreads_over_the_whole_tenth() -> None:
    ends = [ends_of(Lifetime(100.0), 0.0, 0.0, draw, heard=True).fresh for draw in (0.0, 0.5, 0.999)]
    assert [round(end) for end in ends] == [90, 100, 110]


@given(LIFETIMES, DRAW)
def test_while_the_server_cannot_be_heard_a_row_that_it_should_tell_of_lives_a_second(
    lifetime: Lifetime, draw: float
) -> None:
    ends = ends_of(lifetime, 0.0, 0.0, draw, heard=False)
    if lifetime.heard:
        assert ends.fresh <= 1.1 * UNHEARD_TTL_S
        assert negative_ends_of(lifetime, 0.0, draw, heard=False).hard <= UNHEARD_TTL_S
    else:
        assert ends == ends_of(lifetime, 0.0, 0.0, draw, heard=True)


@given(st.floats(0, 20), st.floats(1e-6, 1), st.floats(1e-9, 1))
def test_a_refresh_is_early_by_the_formula_and_never_late(before: float, cost_s: float, draw: float) -> None:
    assert refreshed_early(10.0, 10.0, cost_s, draw)
    # The chance at `before` costs from the end is e^-before.
    assert refreshed_early(-before * cost_s, 0.0, cost_s, exp(-before) * 0.99)
    if before > 0.02:
        assert not refreshed_early(-before * cost_s, 0.0, cost_s, min(1.0, exp(-before) * 1.01))


def test_no_draw_is_needed_while_a_refresh_is_out_of_the_question() -> None:
    ends = ends_of(Lifetime(100.0), 0.0, 0.5, 0.5, heard=True)
    assert ends.fresh - ends.quiet == 5.0
    assert not refreshed_early(ends.quiet, ends.fresh, 0.5, exp(-9.9))
