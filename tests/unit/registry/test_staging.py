"""Versions that come as bytes are in the repository whole or not at all, and nothing is written anywhere else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import BadRequest, InUse, NotPermitted
from serving.registry.repository import Repository
from serving.registry.staging import adopt, discard, remove, stage

MODEL = {"1/model.onnx": b"model"}


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_what_was_staged_is_seen_once_it_is_adopted(tmp_path: Path) -> None:
    staged = stage(tmp_path, "m", {**MODEL, "1/deep/weights.bin": b"w", "2/model.onnx": b"other"})
    assert Repository(tmp_path).listing().versions == ()
    assert adopt(tmp_path, "m", staged) == [1, 2]
    assert everything(tmp_path) == {"m/1/model.onnx", "m/1/deep/weights.bin", "m/2/model.onnx"}
    assert (tmp_path / "m/1/model.onnx").read_bytes() == b"model"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_version_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    adopt(tmp_path, "m", stage(tmp_path, "m", MODEL))
    staged = stage(tmp_path, "m", {"1/model.onnx": b"new", "2/model.onnx": b"new"})
    with pytest.raises(InUse, match="has m/1 already"):
        adopt(tmp_path, "m", staged)
    discard(tmp_path, staged)
    assert everything(tmp_path) == {"m/1/model.onnx"}
    assert (tmp_path / "m/1/model.onnx").read_bytes() == b"model"


def test_what_is_removed_leaves_the_others_and_no_empty_folder(tmp_path: Path) -> None:
    adopt(tmp_path, "m", stage(tmp_path, "m", {**MODEL, "2/model.onnx": b"2"}))
    remove(tmp_path, "m", [2])
    assert everything(tmp_path) == {"m/1/model.onnx"}
    remove(tmp_path, "m", [1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "model.onnx", "/1/model.onnx", "../1/model.onnx", "1/../../model.onnx", "1/./x", "1//x", "1/"),
        *("01/model.onnx", "0/model.onnx", "x/model.onnx", "1/a\\b", "1/a\0b", "1/a\nb", "1/" + "a" * 600),
    ],
)
def test_a_path_that_is_none_is_refused(path: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(BadRequest, match="a path is <version>/<file>"):
        stage(root, "m", {**MODEL, path: b"x"})
    assert [*tmp_path.rglob("*")] == [root]


@settings(max_examples=60)
@given(st.text(st.sampled_from("1a./\\\0 "), max_size=12), st.text(st.sampled_from("m./\\ "), max_size=4))
def test_whatever_a_path_and_a_name_are_nothing_is_written_outside(path: str, model: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        outside = Path(name)
        root = outside / "root"
        root.mkdir()
        try:
            adopt(root, model, stage(root, model, {"1/model.onnx": b"m", path: b"x"}))
        except BadRequest:
            assert [*outside.rglob("*")] == [root]
        else:
            assert {entry.name for entry in outside.iterdir()} == {"root"}
            assert {entry.name for entry in root.iterdir()} == {model}


@pytest.mark.parametrize("name", ["", ".", "..", ".m", "a/b", " m", "m" * 200, "m\x00"])
def test_a_name_that_is_no_folders_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no folder can be named"):
        stage(tmp_path, name, MODEL)
    assert list(tmp_path.iterdir()) == []


def test_a_version_needs_a_model_and_files_that_can_be_beside_each_other(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"version 2 comes without model\.onnx"):
        stage(tmp_path, "m", {**MODEL, "2/weights.bin": b""})
    with pytest.raises(BadRequest, match="a file and a folder"):
        stage(tmp_path, "m", {**MODEL, "1/a": b"", "1/a/b": b""})
    with pytest.raises(BadRequest, match="257 files"):
        stage(tmp_path, "m", {**MODEL, **{f"1/{number}": b"" for number in range(256)}})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "m", "m/1", ".staged-/..", "/"])
def test_nothing_is_removed_or_moved_that_was_not_staged(name: str, tmp_path: Path) -> None:
    adopt(tmp_path, "m", stage(tmp_path, "m", MODEL))
    with pytest.raises(ValueError, match="was not staged"):
        discard(tmp_path, name)
    with pytest.raises(ValueError, match="was not staged"):
        adopt(tmp_path, "n", name)
    assert everything(tmp_path) == {"m/1/model.onnx"}


def test_a_folder_that_leads_out_is_not_written_through(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "m").symlink_to(outside)
    with pytest.raises(NotPermitted, match="leads out"):
        adopt(root, "m", stage(root, "m", MODEL))
    assert list(outside.iterdir()) == []


def test_a_repository_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotPermitted, match="cannot be written"):
        stage(tmp_path / "nowhere", "m", MODEL)


def test_what_a_killed_process_left_is_swept_by_the_next_one(tmp_path: Path) -> None:
    fresh, stale = stage(tmp_path, "m", MODEL), stage(tmp_path, "m", MODEL)
    long_ago = time.time() - 4_000
    os.utime(tmp_path / stale, (long_ago, long_ago))
    staged = stage(tmp_path, "m", MODEL)
    assert {path.name for path in tmp_path.iterdir()} == {fresh, staged}
