"""A failing replica is left alone for longer each time; one that owes an answer and is silent is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.backends.ejection import Silence, Standing, after_failure, after_tick, lost, pause_s, ping_due
from serving.backends.pool_options import PoolOptions

OPTIONS = PoolOptions()
chances = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 5000), chances)
def test_pauses_stay_within_their_bounds(failures: int, chance: float) -> None:
    pause = pause_s(Standing(failures), chance, OPTIONS)
    assert OPTIONS.first_pause_s / 2 <= pause <= OPTIONS.longest_pause_s


@given(st.integers(1, 5000), chances)
def test_pauses_do_not_shrink_while_failures_go_on(failures: int, chance: float) -> None:
    assert pause_s(Standing(failures), chance, OPTIONS) <= pause_s(Standing(failures + 1), chance, OPTIONS)


def test_a_refusal_is_tried_again_slowly_from_the_start() -> None:
    assert pause_s(Standing(1, refused=True), 0.0, OPTIONS) >= OPTIONS.refused_pause_s / 2


def test_failures_add_up_until_a_connection_lived_long_enough() -> None:
    standing = Standing()
    for _ in range(3):
        standing = after_failure(standing, OPTIONS.steady_s / 2, refused=False, options=OPTIONS)
    assert standing.failures == 3
    assert after_failure(standing, OPTIONS.steady_s, refused=False, options=OPTIONS).failures == 1


def silent_ticks(owed: bool) -> int:
    silence, ticks = Silence(), 0
    while not lost(silence, OPTIONS) and ticks < 1000:
        silence = after_tick(silence, heard=False, owed=owed)
        ticks += 1
    return ticks


def test_silence_while_an_answer_is_due_is_a_loss_after_the_bound() -> None:
    assert silent_ticks(owed=True) == OPTIONS.silence_s / OPTIONS.tick_s + 1


def test_silence_while_nothing_is_due_is_no_loss_but_a_reason_to_ask() -> None:
    assert silent_ticks(owed=False) == 1000
    silence = Silence()
    while not ping_due(silence, OPTIONS):
        silence = after_tick(silence, heard=False, owed=False)
    assert silence.idle_ticks * OPTIONS.tick_s == OPTIONS.ping_s


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_whatever_is_heard_counts_as_life(past: list[tuple[bool, bool]]) -> None:
    silence = Silence()
    for heard, owed in past:
        silence = after_tick(silence, heard=heard, owed=owed)
    assert not lost(after_tick(silence, heard=True, owed=True), OPTIONS)
