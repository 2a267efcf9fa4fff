"""Slots of keys, and what nodes of a cluster say of each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import Unavailable
from serving.features.store.slot_map import SLOTS, Place, Redirect, Shard, redirect_of, shards_of, slot_of


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        # The specification's own check value, and CLUSTER KEYSLOT foo.
        (b"123456789", 0x31C3),
        (b"foo", 12_182),
        (b"{foo}.bar", 12_182),
        (b"a{foo}{bar}", 12_182),
        (b"", 0),
    ],
)
def test_the_slot_of_a_key_is_that_of_its_first_braces(key: bytes, slot: int) -> None:
    assert slot_of(key) == slot


def test_braces_with_nothing_between_them_are_part_of_the_key() -> None:
    assert slot_of(b"foo{}{bar}") != slot_of(b"bar")
    assert slot_of(b"foo{bar") != slot_of(b"bar")
    assert slot_of(b"foo{{bar}}zap") == slot_of(b"{bar")


@given(st.binary())
def test_every_key_has_a_slot(key: bytes) -> None:
    assert 0 <= slot_of(key) < SLOTS


def test_slots_are_told_by_range_with_their_master_first() -> None:
    reply = [
        [0, 100, [b"10.0.0.1", 7000, b"id", []], [b"10.0.0.2", 7001, b"id", [b"hostname", b"h"]]],
        [101, 16_383, [None, 7002, b"id"]],
        [101, 16_383, [b"", 7002, b"id"]],
        [101, 16_383, [b"?", 7002, b"id"]],
    ]
    mine = Shard(101, 16_383, Place("asked", 7002), ())
    assert shards_of(reply, "asked") == [
        Shard(0, 100, Place("10.0.0.1", 7000), (Place("10.0.0.2", 7001),)),
        *[mine] * 3,
    ]


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"x",
        [1],
        [[]],
        [[0, 1]],
        [[0, 1, []]],
        [[0, 1, [b"h"]]],
        [[0, 1, [7, 7000, b"id"]]],
        [[0, 16_384, [b"h", 1]]],
        [[2, 1, [b"h", 1]]],
        [[b"0", 1, [b"h", 1]]],
        [[0, 1, [b"\xff", 1]]],
    ],
)
def test_anything_else_is_no_map(reply: object) -> None:
    with pytest.raises(Unavailable, match="something else than slots"):
        shards_of(reply, "asked")


def test_redirects_are_understood() -> None:
    assert redirect_of("MOVED 3999 10.0.0.1:6381", "asked") == Redirect(3999, Place("10.0.0.1", 6381), asking=False)
    assert redirect_of("ASK 3999 ::1:6381", "asked") == Redirect(3999, Place("::1", 6381), asking=True)
    assert redirect_of("MOVED 1 :6381", "asked") == Redirect(1, Place("asked", 6381), asking=False)


@pytest.mark.parametrize(
    "error", ["", "MOVED", "MOVED 1", "MOVED x h:1", "MOVED 16384 h:1", "MOVED 1 h:", "MOVED 1 h:x", "ERR 1 h:1"]
)
def test_any_other_error_is_no_redirect(error: str) -> None:
    assert redirect_of(error, "asked") is None
