"""Names of rows in Redis."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest
from serving.features.feature_view import FeatureView, feature
from serving.features.keys import prefix, row_key, values_of

PAIR = FeatureView("pair", ("a", "b"), (feature("x"),))
IDS = st.text(max_size=20) | st.integers()


def test_a_key_has_each_value_with_its_length() -> None:
    assert row_key(PAIR, ["N14228", 7]) == b"sluice:f:pair:6:N142281:7"
    assert row_key(PAIR, ["ü", ""]) == b"sluice:f:pair:2:\xc3\xbc0:"


@given(st.tuples(IDS, IDS), st.tuples(IDS, IDS))
def test_other_ids_have_other_keys(one: tuple[object, object], other: tuple[object, object]) -> None:
    same = [str(value) for value in one] == [str(value) for value in other]
    assert (row_key(PAIR, one) == row_key(PAIR, other)) == same


@given(st.tuples(IDS, IDS))
def test_a_key_tells_the_ids_that_it_was_made_of(ids: tuple[object, object]) -> None:
    assert values_of(PAIR, row_key(PAIR, ids)) == [str(value) for value in ids]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "must be text or a whole number, got null"),
        (1.5, "got a number"),
        (True, "got a boolean"),
        (["x"], "got an array"),
        ({}, "got an object"),
        ("x" * 600, "has 600 bytes; an entity's id has at most 512"),
        ("\ud800", "is no valid text"),
    ],
)
def test_what_is_no_id_is_refused_by_its_name(value: object, why: str) -> None:
    with pytest.raises(BadRequest) as refused:
        row_key(PAIR, ["x", value])
    assert "field 'b'" in refused.value.message
    assert why in refused.value.message


@given(st.tuples(IDS, IDS), st.integers(2, 1_000_000))
def test_generations_of_a_view_share_no_key(ids: tuple[object, object], generation: int) -> None:
    later = replace(PAIR, generation=generation)
    assert row_key(later, ids) != row_key(PAIR, ids)
    assert not row_key(later, ids).startswith(prefix(PAIR))
    assert values_of(later, row_key(later, ids)) == [str(value) for value in ids]
