"""Changelog fragments are named as their README says, and say something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.checkout import read, tracked

FRAGMENTS = [path for path in tracked() if path.parts[0] == "changelog.d" and path.name != "README.md"]


@pytest.mark.parametrize("path", FRAGMENTS, ids=str)
def test_a_fragment_is_named_by_its_kind_and_says_what_users_notice(path: Path) -> None:
    assert re.fullmatch(r"[a-z0-9-]+\.(added|changed|fixed|removed)\.md", path.name), (
        f"{path}: see changelog.d/README.md"
    )
    assert len(read(path).split()) >= 5


def test_fragments_have_a_readme() -> None:
    assert Path("changelog.d/README.md") in tracked()
