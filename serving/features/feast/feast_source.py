"""Where Feast keeps the rows of a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KeyType = Literal["int32", "int64", "string"]


@dataclass(frozen=True, slots=True)
class JoinKey:
    """What finds an entity, by the name and the type under which Feast wrote it."""

    name: str
    type: KeyType


@dataclass(frozen=True, slots=True)
class FeastSource:
    """`view` is Feast's own name; `join_keys` stand in the order of the view's entity."""

    project: str
    view: str
    join_keys: tuple[JoinKey, ...]
