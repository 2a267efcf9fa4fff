"""Children are told to take the memory of models from huge pages, and nobody else's word is lost."""

from __future__ import annotations

import pytest

from serving.processes.huge_pages import VARIABLE, asked_for, untold


def test_a_child_is_told_to_ask_for_them() -> None:
    assert asked_for({"PATH": "/bin"}) == {"PATH": "/bin", VARIABLE: "glibc.malloc.hugetlb=1"}


def test_other_words_to_glibc_are_kept() -> None:
    given = {VARIABLE: "glibc.malloc.arena_max=2"}
    assert asked_for(given)[VARIABLE] == "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"


@pytest.mark.parametrize("value", ["0", "1", "2"])
def test_who_has_said_something_of_them_is_left_alone(value: str) -> None:
    given = {VARIABLE: f"glibc.malloc.hugetlb={value}:glibc.malloc.arena_max=2"}
    assert asked_for(given) == given


def test_a_program_that_is_not_ours_is_not_told_and_hears_what_else_there_is() -> None:
    assert untold(asked_for({"PATH": "/bin"})) == {"PATH": "/bin"}
    assert untold(asked_for({VARIABLE: "glibc.malloc.arena_max=2"})) == {VARIABLE: "glibc.malloc.arena_max=2"}
