"""Version numbers as folders spell them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.registry.versions import HIGHEST, default_version, parse_version


@given(st.integers(1, HIGHEST))
def test_a_number_from_1_on_is_read_as_it_is_written(version: int) -> None:
    assert parse_version(str(version)) == version


@given(st.text(max_size=20))
def test_a_name_is_a_version_only_if_the_version_is_spelled_so(name: str) -> None:
    version = parse_version(name)
    assert version is None or str(version) == name


def test_the_highest_number_is_the_default_and_nothing_has_none() -> None:
    assert default_version([2, 10, 9]) == 10
    assert default_version([]) is None
