"""What is wrong with a configuration, a line for each wrong key: its path, origin and value, and what is permitted."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from serving.config.document import Path, dotted
from serving.config.layers import explain
from serving.config.permitted import Schema, in_words, keys_of, schema_at
from serving.config.secrets import shown

_OWN_WORDS = frozenset(
    {"renamed", "replicas", "trial", "queue", "sections", "entity", "feast", "feature", "features_url"}
)
_LONGEST_VALUE = 80


def problems_of(error: ValidationError, schema: Schema, origins: Mapping[Path, str]) -> list[str]:
    """Every problem that was found, in the order of the sections."""
    lines = []
    for detail in error.errors(include_url=False):
        lines += _lines(detail, schema, origins)
    return lines


def _lines(detail: ErrorDetails, schema: Schema, origins: Mapping[Path, str]) -> list[str]:
    path = tuple(str(key) for key in detail["loc"] if key != "[key]")
    if detail["type"] == "sections":
        return [_with_origin(line, origins) for line in detail["msg"].splitlines()]
    where = dotted(path) + explain(origins, path)
    if detail["type"] in _OWN_WORDS:
        return [f"{where}: {detail['msg']}"]
    if detail["type"] == "extra_forbidden":
        return [f"{where}: unknown key{_nearest(path, schema)}"]
    if "[key]" in detail["loc"]:
        return [f"{where}: {path[-1]!r} is no name; permitted: letters, digits, dot, dash and underscore"]
    if detail["type"] == "missing":
        return [f"{where}: is missing; it must be {_permitted(path, schema)}"]
    return [f"{where}: is {_value(detail['input'])}; permitted: {_permitted(path, schema)}"]


def _with_origin(line: str, origins: Mapping[Path, str]) -> str:
    where, text = line.split(": ", 1)
    return f"{where}{explain(origins, tuple(where.split('.')))}: {text}"


def _permitted(path: Path, schema: Schema) -> str:
    # A value that may be null or a number is reported once for each; the last key then names the kind, not a setting.
    found = schema_at(schema, path) or schema_at(schema, path[:-1])
    return in_words(found) if found else "something else"


def _nearest(path: Path, schema: Schema) -> str:
    known = keys_of(schema_at(schema, path[:-1]))
    near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known are {', '.join(known)}" if known else ""


def _value(value: Any) -> str:  # noqa: ANN401 - whatever the file says
    text = json.dumps(shown(value), default=repr)
    if "://" in text and not isinstance(value, str):
        # A blank in a password is enough, and then nobody knows where that ends.
        return "no text, but what YAML makes of an address with such characters in it"
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."
