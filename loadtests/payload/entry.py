"""What one request is made of, whatever protocol carries it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Batches round in another order than single rows do.
_RELATIVE = 1e-3
_ABSOLUTE = 1e-5


@dataclass(frozen=True, slots=True)
class Entry:
    """A path and a body as JSON; `answers` has what is known of it, by version of the model, "" for every one."""

    path: str
    body: Any
    answers: Mapping[str, Any] = field(default_factory=dict)


def agrees(known: object, answer: object) -> bool:
    """Whether the answer has everything that is known, numbers within what batching rounds; more is no harm."""
    if isinstance(known, dict):
        return isinstance(answer, dict) and all(key in answer and agrees(known[key], answer[key]) for key in known)
    if isinstance(known, list):
        same = isinstance(answer, list) and len(known) == len(answer)
        return same and all(map(agrees, known, answer))  # type: ignore[call-overload] # two lists
    if isinstance(known, int | float) and isinstance(answer, int | float) and float in (type(known), type(answer)):
        # A model's 1.0 is written as 1 by some who note it down.
        return math.isclose(known, answer, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return known == answer


def known_of(answers: Mapping[str, Any], version: str) -> str | None:
    """Under which version what is known of this one's answer stands; None: of a version that nobody knows nothing."""
    of = "" if "" in answers else version
    return of if of in answers else None
