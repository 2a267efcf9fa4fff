"""Names of Feast's hashes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest
from serving.features.feast.entity_key import EntityKeys
from serving.features.feast.feast_source import FeastSource, JoinKey
from serving.features.keys import prefix, row_key, values_of
from tests.unit.features.feast.recorded import RecordedHash, recorded, view_of

# Callers' order is not Feast's, which sorts by name.
PAIR = view_of("pair", {"zone_id": "int32", "guest_name": "string"})
IDS = st.tuples(st.integers(-(2**31), 2**31 - 1), st.text(max_size=20))


@pytest.mark.parametrize("row", recorded(), ids=lambda row: f"{row.view.name} {row.entity}")
def test_a_key_is_the_one_that_feast_wrote(row: RecordedHash) -> None:
    assert row_key(row.view, list(row.entity.values())) == prefix(row.view) + row.name


def test_views_that_share_a_hash_have_keys_of_their_own() -> None:
    one, other = (view_of(name, {"driver_id": "int64"}) for name in ("stats", "trips"))
    assert row_key(one, [7]) != row_key(other, [7])


@given(IDS, IDS)
def test_other_ids_have_other_keys_and_a_key_tells_its_ids(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert (row_key(PAIR, one) == row_key(PAIR, other)) == (one == other)
    assert values_of(PAIR, row_key(PAIR, one)) == [str(value) for value in one]


def test_callers_may_call_a_join_key_by_another_name() -> None:
    renamed = EntityKeys("v", ("driver",), FeastSource("p", "v", (JoinKey("driver_id", "int64"),)))
    assert renamed.key([7]) == EntityKeys(
        "v", ("driver_id",), FeastSource("p", "v", (JoinKey("driver_id", "int64"),))
    ).key([7])


def test_a_number_and_its_text_are_one_id() -> None:
    assert row_key(PAIR, ["-7", 12]) == row_key(PAIR, [-7, "12"])


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((2**31, "a"), "field 'zone_id' is 2147483648, which is too large for Feast's join key, an int32"),
        (("007", "a"), "field 'zone_id' must be a whole number, since Feast's join key is int32; got '007'"),
        (("1_0", "a"), "got '1_0'"),
        (("٣", "a"), "must be a whole number"),
        (("9" * 5000, "a"), "must be a whole number"),
        ((1.0, "a"), "got a number"),
        ((True, "a"), "got a boolean"),
        ((None, "a"), "got null"),
        ((1, None), "field 'guest_name' must be text or a whole number, got null"),
        ((1, ["a"]), "got an array"),
        ((1, "\ud800"), "is no valid text"),
        ((1, "x" * 600), "has 600 bytes; an entity's id has at most 512"),
    ],
)
def test_what_the_join_keys_type_cannot_be_is_refused_by_its_name(values: tuple[Any, ...], why: str) -> None:
    with pytest.raises(BadRequest) as refused:
        row_key(PAIR, values)
    assert why in refused.value.message
