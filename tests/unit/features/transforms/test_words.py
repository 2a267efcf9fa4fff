"""Transforms of words."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.features.transforms import words

# For whoever writes the same in another language; docs/features.md has them too.
KNOWN = {b"": 740, b"UA": 475, b"7": 231, "Zürich".encode(): 112}


@pytest.mark.parametrize(("word", "bucket"), KNOWN.items())
def test_buckets_are_the_same_in_every_release(word: bytes, bucket: int) -> None:
    assert words.bucket_of(word, 1_024) == bucket
    digest = hashlib.blake2b(word, digest_size=8).digest()
    assert sum(byte << 8 * place for place, byte in enumerate(digest)) % 1_024 == bucket


@given(st.lists(st.text(max_size=4) | st.integers(-9, 9), min_size=1), st.integers(2, 50))
def test_a_word_has_the_same_bucket_alone_and_among_others(values: list[Any], buckets: int) -> None:
    found = words.bucket(values, buckets)
    assert found.tolist() == [words.bucket([value], buckets)[0] for value in values]
    assert ((found >= 0) & (found < buckets)).all()


def test_whole_numbers_are_words_in_decimal() -> None:
    assert {words.word(value) for value in (7, "7", b"7", np.int32(7), np.str_("7"))} == {b"7"}
    assert words.word(-(2**63)) == b"-9223372036854775808"


@pytest.mark.parametrize("value", [None, 1.5, 7.0, True, [], np.float64(7), "\ud800"])
def test_what_is_no_word_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"neither text nor a whole number|no valid text"):
        words.word(value)


def test_a_table_has_an_entry_or_what_is_otherwise() -> None:
    table = {b"UA": (1.0, 2.0), b"7": (3.0, 4.0)}
    assert words.lookup(["UA", 7, "?"], table, (0.0, -1.0)).tolist() == [[1, 2], [3, 4], [0, -1]]


def test_one_hot_has_one_column_at_most() -> None:
    assert words.one_hot(np.array([1.0, 0.0, -1.0]), 3).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
