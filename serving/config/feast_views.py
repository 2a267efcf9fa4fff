"""The section `feature_views` made from what a Feast repository has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import yaml

from serving.config.feature_sections import SECONDS
from serving.errors import ConfigInvalid

# What a feature becomes: the dtype that holds the same numbers. A model that wants floats may want another.
_DTYPES = {
    "INT32": "int32",
    "INT64": "int64",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "BOOL": "bool",
    "UNIX_TIMESTAMP": "int64",
}
_KEY_TYPES = {"INT32": "int32", "INT64": "int64", "STRING": "string"}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_TAKEN = "request"
_REDIS = "redis"
_KEY_VERSION = 3
_HEAD = """\
# Made from the Feast project {project!r}; `sluice config check` says whether models fit it.
# `state.features_url` has to name its Redis: {address}
# A float64 becomes an FP64 input only: write float32 where a model takes FP32.
"""


@dataclass(frozen=True, slots=True)
class ImportedViews:
    """`text` is YAML; `left_out` has a sentence for each thing of the repository that cannot be read."""

    text: str
    views: int
    left_out: Sequence[str]


def feast_views(repository: Mapping[str, Any]) -> ImportedViews:
    """The section for a repository as `serving.features.feast.repository` describes it.

    Raises:
        ConfigInvalid: its rows are not in Redis, or have keys of another version.
    """
    if _REDIS not in str(repository["online_store"]).lower():
        raise ConfigInvalid(f"its online store is {repository['online_store']}; Sluice reads Feast's Redis")
    if repository["key_version"] != _KEY_VERSION:
        raise ConfigInvalid(
            f"its entity_key_serialization_version is {repository['key_version']}; Sluice reads {_KEY_VERSION}"
        )
    left_out = [f"view {name}: is computed on demand" for name in repository["others"]]
    views: dict[str, Any] = {}
    for view in repository["views"]:
        if why := _why_not(view):
            left_out.append(f"view {view['name']}: {why}")
            continue
        left_out += _strange_features(view)
        views[_free_name(view["name"], views)] = view
    sections = {name: _section(name, view, repository["project"]) for name, view in views.items()}
    head = _HEAD.format(project=repository["project"], address=repr(repository["address"]))
    return ImportedViews(head + _text(sections, left_out), len(views), left_out)


def _text(sections: Mapping[str, Any], left_out: Sequence[str]) -> str:
    notes = "".join(f"# Left out: {line}\n" for text in left_out for line in text.splitlines())
    return notes + yaml.safe_dump({"feature_views": sections}, sort_keys=False, allow_unicode=True, width=120)


def _section(name: str, view: Mapping[str, Any], project: str) -> Mapping[str, Any]:
    fields = {_word(key): (key, _KEY_TYPES[kind]) for key, kind in sorted(view["join_keys"].items())}
    join_keys = {field: kind if field == key else {"type": kind, "name": key} for field, (key, kind) in fields.items()}
    return {
        "store": "feast",
        "entity": list(fields),
        **({"max_age": _age(view["ttl_s"])} if view["ttl_s"] > 0 else {}),
        "feast": {
            "project": project,
            **({"view": view["name"]} if name != view["name"] else {}),
            "join_keys": join_keys,
        },
        "features": {feature: _DTYPES[kind] for feature, kind in view["features"].items() if _known(feature, kind)},
    }


def _why_not(view: Mapping[str, Any]) -> str:
    """Why none of it can be read; "" where some can."""
    strange = [f"{key} ({kind})" for key, kind in view["join_keys"].items() if kind not in _KEY_TYPES]
    if not view["online"]:
        return "is not online"
    if not view["join_keys"] or set(view["join_keys"]) == {"__dummy_id"}:
        return "has no entity"
    if strange:
        return f"has the join key {strange[0]}, which is no int32, int64 or string"
    if len({_word(key) for key in view["join_keys"]}) < len(view["join_keys"]):
        return "has join keys whose names differ in signs only"
    return "" if any(_known(*one) for one in view["features"].items()) else "has no feature that is a number"


def _strange_features(view: Mapping[str, Any]) -> Iterator[str]:
    for feature, kind in view["features"].items():
        if kind not in _DTYPES:
            yield f"feature {feature} of view {view['name']}: is {kind}, no number"
        elif not _WORD.fullmatch(feature):
            yield f"feature {feature} of view {view['name']}: its name has more than letters, digits, _ and -"


def _known(feature: str, kind: str) -> bool:
    return kind in _DTYPES and _WORD.fullmatch(feature) is not None


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    """A name for a view here, where Feast's may have any signs."""
    word = found = _word(name)
    number = 2
    while found in taken or found == _TAKEN:
        found, number = f"{word}_{number}", number + 1
    return found


def _word(name: str) -> str:
    word = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:90]
    return word if _WORD.fullmatch(word) else f"_{word}"


def _age(seconds: float) -> str:
    # No row is too old before its time.
    whole = ceil(seconds)
    unit = next(unit for unit, size in reversed(SECONDS.items()) if whole % size == 0)
    return f"{whole // SECONDS[unit]}{unit}"
