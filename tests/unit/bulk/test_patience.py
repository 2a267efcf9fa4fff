"""When a request is sent again, and when it is given up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.bulk.patience import Patience

CHANCE = st.floats(0, 1)


@given(
    limit_s=st.floats(0.001, 10_000),
    share=st.floats(0, 0.999),
    attempt=st.integers(0, 10**9),
    retry_after_s=st.one_of(st.floats(0, 1_000), st.floats(0, 1e300)),
    chance=CHANCE,
)
def test_it_never_gives_up_before_its_limit_nor_asks_before_it_may(
    limit_s: float, share: float, attempt: int, retry_after_s: float, chance: float
) -> None:
    left_s = limit_s - limit_s * share
    pause = Patience(limit_s).pause_s(attempt, limit_s * share, retry_after_s, chance)
    assert pause is not None
    assert pause >= min(retry_after_s, left_s)
    assert 0 < pause <= min(max(7.5, retry_after_s * 1.5), left_s)


@given(attempt=st.integers(0, 100), chance=CHANCE)
def test_pauses_grow_and_are_spread(attempt: int, chance: float) -> None:
    patience = Patience(600)
    now, later = (patience.pause_s(n, 0, 0, chance) for n in (attempt, attempt + 1))
    assert now is not None
    assert later is not None
    assert later >= now
    assert patience.pause_s(attempt, 0, 0, 0) != patience.pause_s(attempt, 0, 0, 1)


def test_past_its_limit_it_gives_up() -> None:
    assert Patience(600).pause_s(3, 600, 1, 0.5) is None
