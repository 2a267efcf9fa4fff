"""The operations of an OpenAPI document as people read them: what is said with a request, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

_JSON = "application/json"
_KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
}
_DONE = "200"


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that a request says, in its path, query or body: `rows[].key` is the `key` of each of the `rows`."""

    name: str
    place: str
    needed: bool
    kind: str
    text: str
    example: Any = None


@dataclass(frozen=True, slots=True)
class Operation:
    """`body` is an example, None where there is none; `answer` are names of fields, told of in `answer_text`."""

    method: str
    path: str
    text: str
    said: tuple[Said, ...]
    body: Any
    answer: tuple[str, ...]
    answer_text: str
    refusals: tuple[str, ...]


def operations(document: Schema) -> Iterator[Operation]:
    """All of them, in the document's order."""
    schemas = _Schemas(document)
    for path, found in document["paths"].items():
        for method, one in found.items():
            body = one.get("requestBody", {}).get("content", {}).get(_JSON, {}).get("schema", {})
            answer = schemas.whole(one["responses"][_DONE].get("content", {}).get(_JSON, {}).get("schema", {}))
            yield Operation(
                method.upper(),
                path,
                one.get("description", ""),
                (*map(schemas.parameter, one.get("parameters", ())), *schemas.fields(body)),
                next(iter(schemas.whole(body).get("examples", ())), None),
                tuple(answer.get("properties", {})),
                answer.get("description", ""),
                tuple(status for status in sorted(one["responses"]) if status != _DONE),
            )


class _Schemas:
    """Knows what the document calls by a name."""

    def __init__(self, document: Schema) -> None:
        self._known = document.get("components", {}).get("schemas", {})

    def parameter(self, told: Schema) -> Said:
        schema = told["schema"]
        example = next(iter(schema.get("examples", ())), None)
        needed = bool(told.get("required"))
        return Said(told["name"], told["in"], needed, self._kind(schema), told.get("description", ""), example)

    def fields(self, schema: Schema, within: str = "") -> Iterator[Said]:
        """Of a body, and of all that is in it."""
        whole = self.whole(schema)
        for name, one in whole.get("properties", {}).items():
            needed = name in whole.get("required", ())
            yield Said(f"{within}{name}", "body", needed, self._kind(one), one.get("description", ""))
            yield from self.fields(one, f"{within}{name}[]." if one.get("type") == "array" else f"{within}{name}.")

    def whole(self, schema: Schema) -> Schema:
        """The object that it is, may be, or is a list of; without properties where it is none."""
        if "$ref" in schema:
            return self.whole(self._known[schema["$ref"].rpartition("/")[2]])
        if "items" in schema:
            return self.whole(schema["items"])
        if "anyOf" in schema:
            return next((one for one in map(self.whole, schema["anyOf"]) if "properties" in one), {})
        return schema

    def _kind(self, schema: Schema) -> str:
        if "$ref" in schema:
            return self._kind(self._known[schema["$ref"].rpartition("/")[2]])
        if "enum" in schema:
            return f"one of {', '.join(map(str, schema['enum']))}"
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(map(self._kind, schema["anyOf"])))
        if schema.get("type") == "array":
            return f"list of {self._kind(schema['items'])}"
        return _KINDS.get(schema.get("type", ""), "anything")
