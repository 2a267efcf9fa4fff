"""docs/behaviour.md promises nothing that no test holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.checkout import ROOT, names_in, read

PAGE = Path("docs/behaviour.md")
PROMISE = re.compile(r"^(\d+)\. (.+?)(?=^\d+\. |^#|\Z)", re.MULTILINE | re.DOTALL)
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def promises() -> list[tuple[int, str]]:
    """Number and text of each promise, in the page's order."""
    return [(int(number), text) for number, text in PROMISE.findall(read(PAGE))]


def test_promises_have_numbers_of_their_own_that_rise_within_a_section() -> None:
    numbers = [number for number, _ in promises()]
    assert numbers
    assert len(set(numbers)) == len(numbers)
    for section in re.split(r"^## ", read(PAGE), flags=re.MULTILINE)[1:]:
        within = [int(number) for number, _ in PROMISE.findall(section)]
        assert within == sorted(within), section.splitlines()[0]


@pytest.mark.parametrize(("number", "text"), promises(), ids=[str(number) for number, _ in promises()])
def test_a_promise_names_tests_that_exist(number: int, text: str) -> None:
    named = NAMED_TEST.findall(text)
    assert named, f"promise {number} names no test"
    for file, test in named:
        assert (ROOT / file).is_file(), f"promise {number}: there is no {file}"
        assert test in names_in(ROOT / file), f"promise {number}: {file} has no {test}"
