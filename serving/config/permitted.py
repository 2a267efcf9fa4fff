"""What is permitted at a path of the configuration, in words; read off its JSON schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.config.document import Path

Schema = Mapping[str, Any]

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


def schema_at(root: Schema, path: Path) -> Schema | None:
    """The part of the schema that a path leads to; None where the path leads nowhere."""
    here: Schema | None = resolved(root, root)
    for key in path:
        if here is None:
            return None
        here = _inside(root, here, key)
    return here


def resolved(root: Schema, schema: Schema) -> Schema:
    """Follow references into the schema's definitions; what stands beside a reference stays.

    A section that may be left out is that section.
    """
    while True:
        if len(sections := [option for option in schema.get("anyOf", ()) if "$ref" in option]) == 1:
            schema = {**sections[0], **{key: value for key, value in schema.items() if key != "anyOf"}}
        elif "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[-1]
            schema = {**root["$defs"][name], **{key: value for key, value in schema.items() if key != "$ref"}}
        else:
            return schema


def _inside(root: Schema, schema: Schema, key: str) -> Schema | None:
    if key in schema.get("properties", {}):
        return resolved(root, schema["properties"][key])
    items = schema.get("items") if key.isdigit() else None
    # Names that the user gives are bound by a pattern or by nothing.
    patterns = list(schema.get("patternProperties", {}).values())
    more = items or (patterns[0] if patterns else schema.get("additionalProperties"))
    return resolved(root, more) if isinstance(more, dict) else None


def keys_of(schema: Schema | None) -> list[str]:
    """The keys that a mapping may have; none where the user names them."""
    return list((schema or {}).get("properties", {}))


def in_words(schema: Schema) -> str:
    """One phrase: `a whole number from 1 to 256`, `one of ray, in-process`."""
    if "permitted" in schema:
        return str(schema["permitted"])
    if "anyOf" in schema:
        return " or ".join(in_words(option) for option in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(str(option) for option in schema["enum"])
    kind = _KINDS.get(str(schema.get("type")), "a value")
    if schema.get("type") == "object" and keys_of(schema):
        return "a mapping with the keys " + ", ".join(keys_of(schema))
    return kind + _range(schema) + _form(schema)


def _range(schema: Schema) -> str:
    low, above, high = schema.get("minimum"), schema.get("exclusiveMinimum"), schema.get("maximum")
    words = []
    if above is not None:
        words.append(f"above {_plain(above)}")
    if low is not None:
        words.append(f"from {_plain(low)}")
    if high is not None:
        words.append(f"{'up ' if low is None else ''}to {_plain(high)}")
    return (" " + " ".join(words)) if words else ""


def _plain(number: float) -> str:
    return f"{int(number)}" if number == int(number) else f"{number}"


def _form(schema: Schema) -> str:
    if "pattern" in schema:
        return f" of the form {schema['pattern']}"
    return " that is not empty" if schema.get("minLength") or schema.get("minItems") else ""
