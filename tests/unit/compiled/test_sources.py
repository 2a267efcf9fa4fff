"""What a build is made of: the modules, and all that they import of the product."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiled.sources import digests


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`hot` imports `warm`, and that `cold` out of a package; `apart` is imported by nobody."""
    files = {
        "serving/hot.py": "import json\nfrom serving.warm import heat\n",
        "serving/warm.py": "from serving.deep import cold\nheat = cold.heat\n",
        "serving/deep/cold.py": "heat = 1\n",
        "serving/apart.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_everything_that_is_imported_counts_and_nothing_else(root: Path) -> None:
    assert list(digests(root, ["serving.hot"])) == ["serving/deep/cold.py", "serving/hot.py", "serving/warm.py"]


@pytest.mark.parametrize(
    ("name", "counts"), [("serving/hot.py", True), ("serving/deep/cold.py", True), ("serving/apart.py", False)]
)
def test_a_change_of_what_counts_is_seen(root: Path, name: str, counts: bool) -> None:
    before = digests(root, ["serving.hot"])
    (root / name).write_text((root / name).read_text() + "# changed\n")
    assert (digests(root, ["serving.hot"]) != before) is counts


def test_modules_that_import_each_other_end(root: Path) -> None:
    (root / "serving/deep/cold.py").write_text("from serving.hot import heat\n")
    assert "serving/hot.py" in digests(root, ["serving.hot"])
