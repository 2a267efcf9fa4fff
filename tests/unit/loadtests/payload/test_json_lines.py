"""Payloads of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.payload.json_lines import read
from serving.errors import ConfigInvalid


def test_each_line_is_an_entry_and_the_user_s_path_is_for_those_without(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"path": "/a", "body": 1}\n\n{"body": 2, "answer": {"y": 3}}\n')
    first, second = read(file, "/b")
    assert (first.path, first.body, first.answers) == ("/a", 1, {})
    assert (second.path, second.body, second.answers) == ("/b", 2, {"": {"y": 3}})


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"body": 1, "bodies": 2}', '{"body": 1}', '{"path": "a", "body": 1}']
)
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(text)
    with pytest.raises(ConfigInvalid, match=r"p\.jsonl"):
        read(file, None)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        read(tmp_path / "missing", None)


def test_a_path_with_a_blank_is_none(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"path": "/a HTTP/1.1", "body": 1}\n')
    with pytest.raises(ConfigInvalid, match="no blanks"):
        read(tmp_path / "p.jsonl", None)
