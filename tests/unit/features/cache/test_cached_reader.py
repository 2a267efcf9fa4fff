"""What is answered from near, what is read, and what becomes of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.features.cache.cached_reader import MOST_KEYS
from serving.features.cache.lifetime import UNHEARD_TTL_S, Lifetime
from serving.features.cached_rows import CachedRows
from serving.features.store.reading import Found
from tests.unit.features.cache.conftest import PLANE, A, B, Bench, C


async def test_a_row_is_read_once_and_then_known(bench: Bench) -> None:
    bench.store.rows = {A: b"1"}
    assert await bench.reads("first", A) == {A: b"1"}
    assert await bench.reads("second", A) == {A: b"1"}
    assert bench.store.asked == [[A]]
    assert (bench.reader.counts.misses, bench.reader.counts.hits) == (1, 1)


async def test_only_what_is_not_known_is_read(bench: Bench) -> None:
    bench.store.rows = {A: b"1", B: b"2"}
    await bench.reads("first", A)
    assert await bench.reads("second", A, B) == {A: b"1", B: b"2"}
    assert bench.store.asked == [[A], [B]]


async def test_requests_of_one_turn_that_need_no_read_are_told_together(bench: Bench) -> None:
    bench.store.rows = {A: b"1", B: b"2"}
    await bench.reads("first", A, B)
    bench.lots.clear()
    for who in range(600):
        bench.asks(who, (A, B)[who % 2])
    assert bench.told == {}
    await bench.turns()
    assert bench.lots == [256, 256, 88]
    assert [bench.told[who][(A, B)[who % 2]] for who in (0, 1, 599)] == [b"1", b"2", b"2"]  # type: ignore[index]


async def test_keys_in_flight_are_read_once_also_for_those_who_come_later(bench: Bench) -> None:
    bench.store.rows = {A: b"1", B: b"2", C: b"3"}
    bench.asks("first", A, B)
    await bench.turns()
    bench.asks("second", B, C)
    bench.asks("third", B)
    await bench.turns()
    assert bench.store.asked == [[A, B], [C]]
    bench.store.takes()
    bench.store.answers()
    assert set(bench.told) == {"first", "third"}
    bench.store.answers_all()
    assert bench.told["second"] == {B: b"2", C: b"3"}
    assert bench.told["third"] == {B: b"2", C: b"3"} or bench.told["third"] == {B: b"2"}
    assert bench.reader.counts.joined == 2


async def test_a_read_that_fails_is_told_to_all_who_joined_it_and_the_next_one_reads_again(bench: Bench) -> None:
    bench.asks("first", A)
    await bench.turns()
    bench.asks("second", A, B)
    await bench.turns()
    bench.store.takes()
    bench.store.fails()
    assert bench.told == {"first": None}
    bench.store.rows = {A: b"1", B: b"2"}
    bench.store.answers_all()
    assert bench.told["second"] == {B: b"2"}, "A is not among what was found: it is unavailable, and only it"
    assert await bench.reads("third", A) == {A: b"1"}


async def test_an_id_without_a_row_is_not_read_again_until_its_short_life_is_over(bench: Bench) -> None:
    for who in range(5):
        assert await bench.reads(who, A) == {A: None}
    assert bench.store.asked == [[A]]
    assert bench.reader.counts.negatives == 4
    bench.time += 5.0
    assert await bench.reads("later", A) == {A: None}
    assert len(bench.store.asked) == 2


async def test_past_its_ttl_a_row_is_used_while_it_is_read_anew_by_one(bench: Bench) -> None:
    bench.store.rows = {A: b"old"}
    await bench.reads("first", A)
    bench.store.rows = {A: b"new"}
    bench.time += 60.0
    for who in range(3):
        bench.asks(who, A)
        await bench.turns()
        assert bench.told[who] == {A: b"old"}
    assert bench.store.asked == [[A], [A]]
    bench.store.answers_all()
    assert await bench.reads("later", A) == {A: b"new"}
    assert len(bench.store.asked) == 2


async def test_a_row_that_nobody_wanted_for_two_lives_is_waited_for(bench: Bench) -> None:
    bench.store.rows = {A: b"old"}
    await bench.reads("first", A)
    bench.store.rows = {A: b"new"}
    bench.time += 121.0
    assert await bench.reads("second", A) == {A: b"new"}


async def test_a_refresh_begins_early_where_the_draw_says_so(bench: Bench) -> None:
    bench.store.rows = {A: b"1"}
    bench.asks("first", A)
    bench.store.takes()
    bench.time += 0.5
    bench.store.answers()
    bench.time = 1_000.0 + 59.0
    bench.draw = 0.01
    await bench.reads("second", A)
    assert len(bench.store.asked) == 1
    bench.draw = 0.999
    bench.asks("third", A)
    assert len(bench.store.asked) == 2
    await bench.turns()
    assert bench.told["third"] == {A: b"1"}


async def test_while_the_store_is_away_known_rows_are_used_up_to_the_hard_limit_and_told_of(bench: Bench) -> None:
    bench.store.rows = {A: b"1"}
    await bench.reads("first", A)
    bench.reader.trust(heard=False)
    bench.store.away = True
    told: list[Found | None] = []
    for age_s in (0.0, 659.9, 660.0):
        bench.time = 1_000.0 + age_s
        bench.reader.fetch((A, B), "who", lambda _, found: told.append(found))
        await bench.turns()
    for found in told[:2]:
        assert isinstance(found, CachedRows)
        assert (dict(found), found.outdated) == ({A: b"1"}, {A})
    assert told[2] is None
    assert bench.reader.counts.outdated == 2


async def test_what_was_written_is_never_used_again_also_where_the_store_is_away(bench: Bench) -> None:
    bench.store.rows = {A: b"1", B: b"2"}
    await bench.reads("first", A, B)
    bench.reader.invalidate([A])
    bench.store.away = True
    assert await bench.reads("second", A) is None
    bench.reader.flush()
    assert await bench.reads("third", B) is None


async def test_a_write_is_seen_by_whoever_asks_in_the_turn_in_which_it_is_told(bench: Bench) -> None:
    bench.store.rows = {A: b"old"}
    await bench.reads("first", A)
    bench.asks("before", A)
    bench.store.rows = {A: b"new"}
    bench.reader.invalidate([A])
    bench.asks("after", A)
    await bench.turns()
    bench.store.answers_all()
    assert (bench.told["before"], bench.told["after"]) == ({A: b"new"}, {A: b"new"})
    assert bench.store.asked == [[A], [A]]


async def test_once_writes_are_not_told_what_is_known_is_read_again_and_then_lives_a_second(bench: Bench) -> None:
    bench.store.rows = {A: b"old"}
    await bench.reads("first", A)
    bench.reader.trust(heard=False)
    bench.store.rows = {A: b"new"}
    assert await bench.reads("second", A) == {A: b"new"}
    bench.store.rows = {A: b"newer"}
    bench.time += 2 * UNHEARD_TTL_S + 0.1
    assert await bench.reads("third", A) == {A: b"newer"}
    bench.reader.trust(heard=True)
    bench.store.rows = {A: b"newest"}
    assert await bench.reads("fourth", A) == {A: b"newest"}


async def test_rows_of_a_view_that_is_not_kept_are_read_every_time(bench: Bench) -> None:
    other = b"sluice:f:other:1:A"
    for who in range(2):
        bench.asks(who, other, A)
        await bench.turns()
    assert bench.store.asked == [[other, A], [other]]
    bench.store.answers_all()
    assert bench.told[1] == {other: None, A: None}
    assert other not in bench.reader.cache.entries


async def test_a_request_of_very_many_rows_goes_by(bench: Bench) -> None:
    keys = [PLANE + b"%d" % number for number in range(MOST_KEYS + 1)]
    await bench.reads("many", *keys)
    assert not bench.reader.cache.entries


async def test_who_joins_reads_of_others_is_bounded_as_well(bench: Bench) -> None:
    bench.store.most_keys = 10
    for who in range(10):
        assert bench.reader.has_room(1)
        bench.asks(who, A)
    assert not bench.reader.has_room(1)
    bench.store.answers_all()
    assert bench.reader.has_room(10)
    bench.store.room = False
    assert not bench.reader.has_room(1)


@pytest.mark.parametrize("rows", [1_000_000])
async def test_a_million_unknown_ids_leave_the_hot_ones_known(bench: Bench, rows: int) -> None:
    hot = [PLANE + b"hot%d" % number for number in range(1_000)]
    bench.store.rows = dict.fromkeys(hot, b"row")
    for who in range(4):
        await bench.reads(who, *hot)
    reads = len(bench.store.asked)
    for start in range(0, rows, 500):
        await bench.reads("scan", *[PLANE + b"cold%d" % number for number in range(start, start + 500)])
        if not start % 50_000:
            await bench.reads("hot", *hot)
    assert len(bench.store.asked) == reads + rows // 500, "no hot row was read again"
    assert bench.reader.cache.used_bytes <= 1_000_000


@pytest.mark.parametrize("answered", [True, False])
async def test_who_waits_for_a_row_that_is_being_read_anew_gets_what_comes_and_not_what_it_had_been(
    answered: bool,
) -> None:
    bench = Bench(Lifetime(60.0, 0.0, 5.0))
    bench.store.rows = {A: b"old"}
    bench.draw = 0.0
    await bench.reads("first", A)
    bench.time += 59.0
    assert await _while_it_is_read(bench) == {A: b"old"}
    bench.store.rows = {A: b"new"}
    bench.time += 1.0
    bench.asks("late", A)
    await bench.turns()
    assert bench.store.asked == [[A], [A]], "it waits for the same read"
    bench.store.takes()
    (bench.store.answers if answered else bench.store.fails)()
    assert bench.told["late"] == ({A: b"new"} if answered else None)
    assert bench.reader.counts.outdated == 0


async def test_who_waits_in_vain_for_a_row_that_is_being_read_anew_is_told_that_it_is_of_before(bench: Bench) -> None:
    bench.store.rows = {A: b"old"}
    await bench.reads("first", A)
    bench.time += 119.0
    assert await _while_it_is_read(bench) == {A: b"old"}
    bench.time += 2.0
    told: list[Found | None] = []
    bench.reader.fetch((A,), "late", lambda _, found: told.append(found))
    await bench.turns()
    bench.store.takes()
    bench.store.fails()
    (found,) = told
    assert isinstance(found, CachedRows)
    assert (dict(found), found.outdated) == ({A: b"old"}, {A})


async def test_a_read_for_later_that_fails_gives_nobody_an_old_row(bench: Bench) -> None:
    bench.store.rows = {A: b"old"}
    await bench.reads("first", A)
    bench.time += 61.0
    assert await _while_it_is_read(bench) == {A: b"old"}
    bench.store.takes()
    bench.store.fails()
    assert bench.reader.counts.outdated == 0


async def _while_it_is_read(bench: Bench) -> Found | None:
    """What a request is told that has a row read anew; the read goes on."""
    bench.asks("refreshing", A)
    await bench.turns()
    return bench.told["refreshing"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from([A, B])),
        st.tuples(st.just("pass"), st.floats(0, 400)),
        st.tuples(st.sampled_from(["take", "answer", "fail", "away", "back", "unheard", "heard"]), st.none()),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.floats(0, 1, exclude_max=True), st.booleans(), st.floats(1, 100), st.floats(0, 300))
async def test_no_answer_is_older_than_the_hard_limit(
    steps: list[tuple[str, bytes | float | None]], draw: float, told: bool, ttl_s: float, stale_for_s: float
) -> None:
    bench = Bench(Lifetime(ttl_s, stale_for_s, 1.0, told))
    bench.draw = draw
    for number, (what, value) in enumerate(steps):
        # Without a word of the server: each row says when it was stored.
        bench.store.rows = dict.fromkeys((A, B), str(bench.time).encode())
        if isinstance(value, bytes):
            bench.asks(number, value)
            await bench.turns()
        elif isinstance(value, float):
            # A read is answered or given up in a fraction of a second.
            bench.store.fails()
            bench.time += value
        else:
            _happens(bench, what)
        for found in bench.told.values():
            for row in (found or {}).values():
                assert row is not None
                assert float(row) > bench.time - ttl_s - stale_for_s - 1e-6
        bench.told.clear()


def _happens(bench: Bench, what: str) -> None:
    if what == "take" and bench.store.sent:
        bench.store.takes()
    elif what == "answer" and bench.store.taken:
        bench.store.answers()
    elif what == "fail":
        bench.store.fails()
    elif what in ("away", "back"):
        bench.store.away = what == "away"
    elif what in ("heard", "unheard"):
        bench.reader.trust(heard=what == "heard")


async def test_who_cannot_wait_is_given_what_needs_no_read_and_else_what_was_read_before(bench: Bench) -> None:
    bench.store.rows = {A: b"a", B: b"b"}
    await bench.reads("first", A, C)
    bench.time += 4.0
    await bench.reads("second", B)
    kept = bench.reader.kept([A, B, C, PLANE + b"1:D"])
    assert (dict(kept), kept.outdated) == ({A: b"a", B: b"b", C: None}, set())
    bench.time += 126.0
    kept = bench.reader.kept([A, B, C])
    assert (dict(kept), kept.outdated) == ({A: b"a", B: b"b"}, {A, B})
    bench.time += 530.0
    assert set(bench.reader.kept([A, B, C])) == {B}
    bench.reader.invalidate([B])
    assert bench.reader.kept([A, B, C]) == {}


async def test_a_write_that_is_told_in_the_turn_of_a_request_is_what_it_is_answered_with(bench: Bench) -> None:
    bench.store.rows = {A: b"old", B: b"b"}
    await bench.reads("before", A, B)
    bench.asks("both", A, B)
    bench.asks("other", B)
    bench.store.rows[A] = b"new"
    bench.reader.invalidate([A])
    await bench.turns()
    assert list(bench.told) == ["other"], "who wants nothing that was written waits for nothing"
    bench.store.answers_all()
    assert bench.told["both"] == {A: b"new", B: b"b"}
    assert bench.store.asked[-1] == [A], "and what was not written is not read again"
    assert bench.reader.has_room(bench.store.most_keys)


async def test_who_asks_for_rows_that_are_written_all_the_time_is_answered_all_the_same(bench: Bench) -> None:
    bench.store.rows = {A: b"a", B: b"b"}
    await bench.reads("before", A, B)
    bench.asks("hot", A, B)
    bench.reader.invalidate([A])
    await bench.turns()
    for _ in range(3):
        bench.reader.invalidate([A, B])
        await bench.turns()
    bench.store.answers_all()
    assert bench.told["hot"] == {A: b"a", B: b"b"}
    assert bench.store.asked == [[A, B], [A]]


async def test_a_flush_in_the_turn_of_a_request_counts_for_it_too(bench: Bench) -> None:
    bench.store.rows = {A: b"old"}
    await bench.reads("before", A)
    bench.asks("now", A)
    bench.store.rows.clear()
    bench.reader.flush()
    await bench.turns()
    bench.store.answers_all()
    assert bench.told["now"] == {A: None}
