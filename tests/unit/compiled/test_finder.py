"""What was compiled runs where nothing changed since, and nowhere else."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from compiled import finder
from compiled.finder import MANIFEST, SWITCH, CompiledFinder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout of two files."""
    root = tmp_path / "root"
    (root / "serving").mkdir(parents=True)
    (root / "serving" / "hot.py").write_text("answer = 42\n")
    (root / "serving" / "cold.py").write_text("question = None\n")
    return root


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    """What was compiled from it: one of the files, which knows of the other."""
    folder = tmp_path / "folder"
    folder.mkdir()
    sources = {f"serving/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*.py")}
    write(folder, {"python": sys.version, "sources": sources, "modules": {"serving.hot": "1/serving/hot.so"}})
    return folder


def write(folder: Path, manifest: Any) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest))


def changed(folder: Path, **facts: object) -> None:
    write(folder, json.loads((folder / MANIFEST).read_text()) | facts)


def found(folder: Path, root: Path, name: str = "serving.hot") -> str | None:
    spec = CompiledFinder(str(folder)).find_spec(name, [str(root / "serving")])
    return None if spec is None else spec.origin


def test_a_module_whose_sources_are_unchanged_is_found_compiled(folder: Path, root: Path) -> None:
    assert found(folder, root) == str(folder / "1/serving/hot.so")


def test_a_module_that_was_not_compiled_is_left_to_python(folder: Path, root: Path) -> None:
    assert found(folder, root, "serving.cold") is None


@pytest.mark.parametrize("name", ["hot.py", "cold.py"])
def test_a_changed_source_has_everything_run_as_plain_python(folder: Path, root: Path, name: str) -> None:
    source = root / "serving" / name
    source.write_text(source.read_text() + "# changed\n")
    assert found(folder, root) is None


def test_a_source_that_is_gone_has_everything_run_as_plain_python(folder: Path, root: Path) -> None:
    (root / "serving" / "cold.py").unlink()
    assert found(folder, root) is None


def test_what_another_python_compiled_is_left_alone(folder: Path, root: Path) -> None:
    changed(folder, python="2.7")
    assert found(folder, root) is None


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_a_manifest_that_says_nothing_is_as_none(folder: Path, root: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    assert found(folder, root) is None


def test_sources_are_compared_when_the_product_is_first_imported_and_then_never_again(folder: Path, root: Path) -> None:
    compiled = CompiledFinder(str(folder))
    manifest = folder / MANIFEST
    kept = manifest.read_text()
    manifest.unlink()
    assert compiled.find_spec("json", None) is None
    assert compiled.find_spec("serving", None) is None
    manifest.write_text(kept)
    assert compiled.find_spec("serving.hot", [str(root / "serving")]) is not None
    # Half of the modules compiled from other sources than the rest would not fit together.
    manifest.unlink()
    assert compiled.find_spec("serving.hot", [str(root / "serving")]) is not None


@pytest.mark.parametrize(("value", "installed"), [("", True), ("0", True), ("1", False)])
def test_the_switch_asks_for_plain_python(monkeypatch: pytest.MonkeyPatch, value: str, installed: bool) -> None:
    monkeypatch.setenv(SWITCH, value)
    monkeypatch.setattr(sys, "meta_path", [])
    finder.install()
    assert bool(sys.meta_path) is installed
