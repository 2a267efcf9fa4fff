"""The schema of a CRD as a strict server of Kubernetes takes it: what it does not name is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Schema = Mapping[str, Any]
# Rules across fields, in a language of their own (CEL), and what lists are merged by: nothing here understands those.
_LEFT_OUT = "x-kubernetes-"


def schema_of(file: Path, version: str) -> Schema:
    """The schema of one version of a CRD."""
    crd = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
    (found,) = (one for one in crd["spec"]["versions"] if one["name"] == version)
    schema: Schema = found["schema"]["openAPIV3Schema"]
    return schema


def strict(schema: Schema, *, root: bool = True) -> dict[str, Any]:
    """JSON Schema of a structural one. A server drops fields that are not named, and says so only if it is asked; here
    they are mistakes. `metadata` of the whole object is Kubernetes' own.
    """
    made = {key: value for key, value in schema.items() if not key.startswith(_LEFT_OUT)}
    if schema.get("x-kubernetes-int-or-string"):
        made |= {"type": ["integer", "string"]}
    if "items" in schema:
        made["items"] = strict(schema["items"], root=False)
    if isinstance(schema.get("additionalProperties"), Mapping):
        made["additionalProperties"] = strict(schema["additionalProperties"], root=False)
    elif schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    made["properties"] = {name: strict(one, root=False) for name, one in schema.get("properties", {}).items()}
    if root:
        made["properties"]["metadata"] = {"type": "object"}
    return made


def unlike(ours: Schema, theirs: Schema, path: str = "") -> Iterator[str]:
    """Where a schema permits what another one does not: each place, in words; what it leaves open is not looked at."""
    if ours.get("type") != theirs.get("type"):
        yield f"{path} is {theirs.get('type')}"
    if ours.get("x-kubernetes-preserve-unknown-fields"):
        return
    yield from (f"{path}.{name} is required" for name in {*theirs.get("required", ())} - {*ours.get("required", ())})
    for name, one in ours.get("properties", {}).items():
        other = theirs.get("properties", {}).get(name)
        if other is None:
            yield f"{path}.{name} is unknown"
        else:
            yield from unlike(one, other, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if inner in ours:
            yield from unlike(ours[inner], theirs.get(inner, {}), f"{path}[]")
