"""What a client wants of a model in a model configuration (the protocol's load), as far as it can be granted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.errors import BadRequest, UnknownModel

_MOST_ROWS = 65_536
_MOST_LEVELS = 1_000
_SETTABLE = (
    "version_policy, max_batch_size, dynamic_batching.priority_levels and dynamic_batching.default_priority_level"
)
_SAME = {"platform": ("", "onnxruntime_onnx"), "backend": ("", "onnxruntime")}


@dataclass(frozen=True, slots=True)
class ModelWishes:
    """`latest` is how many of the highest versions, `specific` which ones, `every` all; none of them: nothing said.

    The rest is None where nothing was said of it.
    """

    latest: int | None = None
    specific: tuple[int, ...] | None = None
    every: bool = False
    max_rows: int | None = None
    priority_levels: int | None = None
    default_priority: int | None = None

    @property
    def names_versions(self) -> bool:
        """The versions are those and no others."""
        return self.every or self.latest is not None or self.specific is not None

    def limits(self) -> dict[str, int]:
        """What holds for each version, by the routing table's names."""
        told = {
            "max_rows": self.max_rows,
            "priority_levels": self.priority_levels,
            "default_priority": self.default_priority,
        }
        return {name: value for name, value in told.items() if value is not None}

    def versions_of(self, model: str, present: Sequence[int]) -> list[int]:
        """Which of the versions in the repository (at least one), the highest first.

        Raises:
            UnknownModel: one that is named is not there.
        """
        highest_first = sorted(present, reverse=True)
        if self.specific is not None:
            absent = sorted(set(self.specific) - set(present))
            if absent:
                raise UnknownModel(f"the repository has no version {absent[0]} of {model!r}; it has {sorted(present)}")
            return sorted(self.specific, reverse=True)
        return highest_first if self.every else highest_first[: self.latest or 1]


def wishes_of(model: str, config: str) -> ModelWishes:
    """Read a configuration; what is left at its empty value says nothing.

    Raises:
        BadRequest: no configuration, or it wants something that cannot be had; the text names it.
    """
    told = _document(config) if config else {}
    found: dict[str, Any] = {}
    for name, value in told.items():
        if name == "name":
            _require(value in ("", model), f"name is {value!r}, but {model!r} is to be loaded")
        elif name in _SAME:
            _require(value in _SAME[name], f"{name} is {value!r}; models here are {_SAME[name][1]}")
        elif name == "version_policy":
            found |= _policy(value)
        elif name == "max_batch_size":
            # 0 is the protocol's word for: every row runs alone.
            found["max_rows"] = max(1, _number(name, value, 0, _MOST_ROWS))
        elif name == "dynamic_batching":
            found |= _dynamic_batching(value)
        else:
            _require(not value, _cannot(name))
    return ModelWishes(**found)


def _document(config: str) -> dict[str, Any]:
    try:
        document = json.loads(config)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"parameters.config is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadRequest("parameters.config must be a JSON object")
    return document


def _policy(value: object) -> dict[str, Any]:
    choice = dict(value) if isinstance(value, Mapping) else {}
    _require(len(choice) == 1, "version_policy must be one of latest, specific and all")
    (kind, inner), *_ = choice.items()
    _require(kind in ("latest", "specific", "all"), f"version_policy {kind!r} is none of latest, specific, all")
    _require(isinstance(inner, Mapping), f"version_policy.{kind} must be an object")
    if kind == "all":
        return {"every": True}
    if kind == "latest":
        return {"latest": _number("version_policy.latest.num_versions", inner.get("num_versions", 1), 1, _MOST_ROWS)}
    versions = inner.get("versions")
    _require(isinstance(versions, list) and bool(versions), "version_policy.specific needs versions, such as [1, 2]")
    return {"specific": tuple({_number("a version", version, 1, 2**53 - 1) for version in versions})}


def _dynamic_batching(value: object) -> dict[str, int]:
    _require(isinstance(value, Mapping), "dynamic_batching must be an object")
    found = {}
    for name, inner in dict(value).items():  # type: ignore[call-overload]
        if name == "priority_levels" and inner:
            found["priority_levels"] = _number(name, inner, 1, _MOST_LEVELS)
        elif name == "default_priority_level" and inner:
            found["default_priority"] = _number(name, inner, 1, _MOST_LEVELS)
        else:
            _require(not inner, _cannot(f"dynamic_batching.{name}"))
    return found


def _number(name: str, value: object, least: int, most: int) -> int:
    if type(value) is int and least <= value <= most:
        return value
    raise BadRequest(f"parameters.config: {name} must be a whole number from {least} to {most}, got {value!r:.80}")


def _require(holds: object, text: str) -> None:
    if not holds:
        raise BadRequest(f"parameters.config: {text}")


def _cannot(name: str) -> str:
    return f"{name} cannot be set when a model is loaded; {_SETTABLE} can"
