"""A version keeps its number, and a number that was given back meets nothing else soon."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from serving.inference import Hosted, Signature, VersionKey
from serving.pool.slot_numbers import SlotNumbers


def hosting(names: Iterable[str], note: str = "") -> dict[VersionKey, Hosted]:
    keys = [VersionKey(name, 1) for name in names]
    return {key: Hosted(key, Signature((), ()), batchable=True, note=note) for key in keys}


@given(st.lists(st.sets(st.sampled_from("abcdef")), max_size=20))
def test_numbers_name_exactly_what_is_hosted_and_stay_while_it_is(history: list[set[str]]) -> None:
    numbers = SlotNumbers()
    before: dict[int, Hosted] = {}
    for names in history:
        catalogue = hosting(names)
        assigned = numbers.assign(catalogue)
        assert {hosted.key: hosted for hosted in assigned.values()} == catalogue
        stayed = {number for number, hosted in before.items() if hosted.key in catalogue}
        assert all(assigned[number] == before[number] for number in stayed)
        before = assigned


def test_a_number_given_back_is_the_last_to_be_given_again() -> None:
    numbers = SlotNumbers()
    given_out = [next(iter(numbers.assign(hosting(name)))) for name in "ab" * 40_000]
    assert len(set(given_out[: 2**16])) == 2**16
    assert given_out[2**16 :] == given_out[: len(given_out) - 2**16]


def test_a_version_that_changed_gets_a_new_number() -> None:
    numbers = SlotNumbers()
    (first,) = numbers.assign(hosting("a"))
    (second,) = numbers.assign(hosting("a", note="reloaded"))
    assert first != second
