"""A YAML file as nested mappings, with the line where each value stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from serving.errors import ConfigInvalid

Path = tuple[str, ...]
# Deeper than any setting; a file of a million brackets must not end in a recursion error.
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Document:
    """`lines` has the line, counted from 1, of every key."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)


def read_yaml(text: str, name: str) -> Document:
    """Read one document; an empty one has no values.

    Raises:
        ConfigInvalid: no YAML, no mapping at the top, or a key that stands twice (YAML itself would take the last one).
    """
    try:
        return _document(yaml.SafeLoader(text))
    except yaml.YAMLError as error:
        raise ConfigInvalid(f"{name}: {_what_and_where(error)}") from error
    # A value may look like a date and be none.
    except (_Unusable, ValueError) as error:
        raise ConfigInvalid(f"{name}: {error}") from error


def _document(loader: yaml.SafeLoader) -> Document:
    node = loader.get_single_node()
    if node is None:
        return Document()
    if not isinstance(node, yaml.MappingNode):
        raise _Unusable("the file must be a mapping of sections, such as `http: {port: 8080}`")
    lines: dict[Path, int] = {}
    return Document(_mapping(loader, node, (), lines), lines)


class _Unusable(Exception):
    """YAML, but not such that one could say what each key means."""


def _value(loader: yaml.SafeLoader, node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:  # noqa: ANN401 - YAML
    if len(path) > _DEEPEST:
        raise _Unusable(f"line {node.start_mark.line + 1}: nested more than {_DEEPEST} deep")
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*path, str(index)), lines) for index, item in enumerate(node.value)]
    return loader.construct_object(node)


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    loader.flatten_mapping(node)
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        # The key as it is written: a model may be called 1, or `on`, which YAML would read as a number and as true.
        key = str(key_node.value)
        inner = (*path, key)
        line = key_node.start_mark.line + 1
        if key in found:
            raise _Unusable(f"line {line}: {dotted(inner)} stands twice, first in line {lines[inner]}")
        lines[inner] = line
        found[key] = _value(loader, value_node, inner, lines)
    return found


def _what_and_where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{where}{getattr(error, 'problem', None) or error}"


def dotted(path: Path) -> str:
    """A path for people: `http.port`; keys with a dot or a blank stand in quotes."""
    return ".".join(f'"{key}"' if not key or any(c in key for c in '. "') else key for key in path)
