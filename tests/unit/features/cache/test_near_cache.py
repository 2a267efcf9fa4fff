"""Rows within a bound of bytes."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.features.cache.lifetime import Ends
from serving.features.cache.near_cache import NearCache

ENDS = Ends(1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(("key_bytes", "row_bytes"), [(20, 40), (40, 200), (60, 2_000)])
@pytest.mark.parametrize("count", [7_000, 22_000])
def test_what_is_counted_is_what_the_interpreter_takes(key_bytes: int, row_bytes: int, count: int) -> None:
    cache, key = NearCache(100_000_000), b""
    counted = cache.used_bytes
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(count):
        key = b"%d:" % number + bytes(key_bytes - len(b"%d:" % number))
        cache.put(key, bytes(row_bytes - 1) + b"x", Ends(*(end + number for end in ENDS)), 0.001 * number, 1)
    key = b""
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    counted = cache.used_bytes - counted
    assert len(cache.entries) == count
    # Never less than is taken, and at most a quarter more: how far a dictionary has grown decides.
    assert taken <= counted <= 1.25 * taken


KEYS = st.integers(0, 30).map(lambda number: b"%d" % number)
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.one_of(st.none(), st.binary(max_size=3_000))),
    st.tuples(st.just("drop"), KEYS, st.none()),
    st.tuples(st.just("clear"), st.just(b""), st.none()),
)


@settings(max_examples=50)
@given(st.lists(STEPS, max_size=200))
def test_it_never_exceeds_its_bytes_nor_tells_of_a_row_that_was_dropped(
    steps: list[tuple[str, bytes, bytes | None]],
) -> None:
    most = 40_000
    cache = NearCache(most)
    known: dict[bytes, bytes | None] = {}
    for what, key, row in steps:
        if what == "put":
            cache.put(key, row, ENDS, 0.0, 1)
            known[key] = row
        elif what == "drop":
            cache.drop(key)
            known.pop(key, None)
        else:
            cache.clear()
            known.clear()
        assert cache.used_bytes <= most
        usable = {key: entry.row for key, entry in cache.entries.items() if entry.hard}
        assert usable.items() <= known.items()


def test_a_row_written_again_and_again_takes_one_place() -> None:
    cache = NearCache(1_000_000)
    for number in range(1_000):
        cache.put(b"a", b"%d" % number, ENDS, 0.0, 1)
        cache.drop(b"a")
    cache.put(b"a", b"last", ENDS, 0.0, 1)
    one = NearCache(1_000_000)
    one.put(b"a", b"last", ENDS, 0.0, 1)
    assert cache.used_bytes == one.used_bytes


def test_a_row_larger_than_the_cache_is_not_kept() -> None:
    cache = NearCache(20_000)
    cache.put(b"a", bytes(30_000), ENDS, 0.0, 1)
    assert not cache.entries
    assert cache.evictions == 1
