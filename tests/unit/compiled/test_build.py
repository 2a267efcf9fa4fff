"""Compiled modules come into the environment and leave it whole, and no process loses its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compiled import build
from compiled.finder import SWITCH, usable

ASKED: dict[str, Any] = {"python": "3", "sources": {"serving/hot.py": "abc"}}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """What mypyc makes: a module for each source, and the library that they share."""
    library = tmp_path / "library"
    (library / "serving").mkdir(parents=True)
    (library / "serving" / "hot.cpython-311-x86_64-linux-gnu.so").write_text("module")
    (library / "shared__mypyc.cpython-311-x86_64-linux-gnu.so").write_text("library")
    return library


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The environment's packages."""
    site = tmp_path / "site"
    site.mkdir()
    return site


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch, site: Path, library: Path) -> list[str]:
    """`main` on that environment; notes each time that it compiles."""
    compiled: list[str] = []

    def compile_it() -> Path:
        compiled.append("compiled")
        return library

    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(build, "SITE", site)
    monkeypatch.setattr(build, "_missing", lambda: "")
    monkeypatch.setattr(build, "_compiled", compile_it)
    return compiled


def test_modules_are_named_by_where_they_belong(site: Path, library: Path) -> None:
    build.install(site, ASKED, library)
    manifest = json.loads((site / "sluice_compiled" / "manifest.json").read_text())
    assert set(manifest["modules"]) == {"serving.hot", "shared__mypyc"}
    assert all((site / "sluice_compiled" / file).is_file() for file in manifest["modules"].values())
    assert {"python": manifest["python"], "sources": manifest["sources"]} == ASKED


def test_a_new_build_leaves_the_last_one_its_files_and_removes_older_ones(site: Path, library: Path) -> None:
    for _ in range(4):
        build.install(site, ASKED, library)
    assert sorted(path.name for path in (site / "sluice_compiled").iterdir() if path.is_dir()) == ["3", "4"]


def test_removed_is_as_never_installed(site: Path, library: Path) -> None:
    build.install(site, ASKED, library)
    build.remove(site)
    assert not list(site.iterdir())
    build.remove(site)


def test_what_was_built_of_these_sources_is_not_built_again(site: Path, compiling: list[str]) -> None:
    assert build.main([]) == build.main([]) == 0
    assert compiling == ["compiled"]
    assert usable(str(site / "sluice_compiled"), str(build.ROOT))
    assert build.main(["--remove"]) == build.main([]) == 0
    assert compiling == ["compiled"] * 2


@pytest.mark.parametrize("file", ["compiled/hot_path.py", "serving/inference.py"])
def test_another_list_of_modules_and_another_source_are_another_build(tmp_path: Path, file: str) -> None:
    for name in ("compiled/hot_path.py", "compiled/build.py", "serving/inference.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    before = build.described(tmp_path)
    assert build.described(tmp_path) == before
    (tmp_path / file).write_text("# changed\n")
    assert build.described(tmp_path) != before


def test_without_a_compiler_it_says_so_and_leaves_plain_python(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    site: Path,
    library: Path,
    compiling: list[str],
) -> None:
    build.install(site, ASKED, library)
    monkeypatch.setattr(build, "_missing", lambda: "there is no C compiler (cc)")
    assert build.main([]) == 0
    assert "stays plain Python" in capsys.readouterr().out
    assert not list(site.iterdir())
    assert compiling == []


def test_what_is_there_already_needs_no_compiler(
    monkeypatch: pytest.MonkeyPatch, site: Path, compiling: list[str]
) -> None:
    build.main([])
    monkeypatch.setattr(build, "_missing", lambda: "there is no C compiler (cc)")
    assert build.main([]) == 0
    assert (site / "sluice_compiled.pth").is_file()
    assert compiling == ["compiled"]


def test_the_switch_has_nothing_compiled(monkeypatch: pytest.MonkeyPatch, compiling: list[str]) -> None:
    monkeypatch.setenv(SWITCH, "1")
    assert build.main([]) == 0
    assert compiling == []
