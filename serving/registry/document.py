"""A YAML file with the line of every key, and without keys that stand twice."""

from __future__ import annotations

from typing import Any

import yaml

KeyPath = tuple[str | int, ...]

# Deeper than any manifest (a sample of an image has three levels of lists); a file of brackets must not end in a
# recursion error.
_DEEPEST = 20


class DocumentInvalid(ValueError):
    """The text says the line, and what is wrong with it."""


def read_document(text: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """The mapping that the text holds, empty for an empty text, and the line of each key, counted from 1.

    Raises:
        DocumentInvalid: no YAML, no mapping, or a key that stands twice (YAML itself would take the last).
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {}
        if node is None:
            return {}, lines
        _Outline(lines).walk(node, ())
        values = loader.construct_document(node)
    except yaml.YAMLError as error:
        raise DocumentInvalid(_where_and_what(error)) from error
    # A value that looks like a date and is none.
    except (ValueError, RecursionError) as error:
        raise DocumentInvalid(str(error)) from error
    finally:
        loader.dispose()
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise DocumentInvalid("line 1: the file has to be a mapping, such as `score: probabilities`")
    return values, lines


class _Outline:
    """Collects lines, and refuses what cannot be walked: nesting, keys that stand twice, aliases."""

    def __init__(self, lines: dict[KeyPath, int]) -> None:
        self._lines = lines
        self._walked: set[int] = set()

    def walk(self, node: yaml.Node, path: KeyPath) -> None:
        line = node.start_mark.line + 1
        if len(path) > _DEEPEST:
            raise DocumentInvalid(f"line {line}: nested more than {_DEEPEST} deep")
        if isinstance(node, yaml.ScalarNode):
            return
        # Ten aliases of ten aliases of ten ... are a kilobyte here and gigabytes in whoever walks them.
        if id(node) in self._walked:
            raise DocumentInvalid(f"line {line}: this is used again by an alias (*name); write it out")
        self._walked.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.walk(item, (*path, index))
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._enter(key, value, (*path, str(key.value)))

    def _enter(self, key: yaml.Node, value: yaml.Node, path: KeyPath) -> None:
        line = key.start_mark.line + 1
        if path in self._lines:
            raise DocumentInvalid(f"line {line}: {path[-1]!r} stands twice")
        self._lines[path] = line
        self.walk(value, path)


def _where_and_what(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{where}no valid YAML ({getattr(error, 'problem', None) or error})"
