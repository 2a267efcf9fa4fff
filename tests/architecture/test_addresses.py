"""Nothing in the project depends on the machine where it was written: no package index, no folder of somebody's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.checkout import read, text_files

# Written in pieces, so that this file does not find itself.
INDEXES = ("--(extra-)?index" + "-url", "--find" + "-links", "--trusted" + "-host", "/simple" + "/", "PIP_" + "INDEX")
FOLDERS = ("ro" + "ot", "ho" + "me/[a-z]+", "wo" + "rk", "Us" + "ers", "opt/" + "wheels")
FORBIDDEN = {
    "a package index": "|".join(INDEXES),
    "somebody's folder": r"(?<![\w.<{$/-])/(" + "|".join(FOLDERS) + r")\b",
}


@pytest.mark.parametrize("path", text_files(), ids=str)
def test_a_file_names_no_package_index_and_no_path_of_one_machine(path: Path) -> None:
    text = read(path)
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1} has {what}: {match.group()}"
        for what, pattern in FORBIDDEN.items()
        for match in re.finditer(pattern, text)
    ]
    assert not found, "\n".join(found)


def test_pins_are_versions_only() -> None:
    lines = [line for line in read(Path("constraints.txt")).splitlines() if line and not line.startswith("#")]
    assert len(lines) > 20
    wrong = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.\-]+==[A-Za-z0-9_.+!]+", line)]
    assert not wrong
