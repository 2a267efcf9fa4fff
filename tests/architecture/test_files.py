"""Files are small, say what lives in them, and are named after what that is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.checkout import python_files, read

MOST_LINES = 400
EMPTY_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "base", "core", "manager", "misc"})

each_file = pytest.mark.parametrize("path", python_files(), ids=str)


@each_file
def test_a_file_has_at_most_400_lines(path: Path) -> None:
    lines = read(path).count("\n")
    assert lines <= MOST_LINES, f"{path} has {lines} lines: it holds more than one idea"


@each_file
def test_a_file_is_named_after_what_lives_in_it(path: Path) -> None:
    said_nothing = EMPTY_NAMES & {part.removesuffix(".py") for part in path.parts}
    assert not said_nothing, f"{path}: {said_nothing} names no idea; take a noun from the glossary"


@each_file
def test_a_file_begins_with_one_sentence_about_what_lives_here(path: Path) -> None:
    text = read(path)
    if path.name == "__init__.py":
        assert text == "", f"{path}: import the file that defines the name; __init__.py stays empty"
        return
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, f"{path} has no docstring"
    # The sentence may go on in a second line where 120 characters do not hold it.
    first = docstring.split("\n\n")[0]
    assert first.rstrip().endswith((".", ":", "?")), f"{path}: {first!r} is no sentence"
