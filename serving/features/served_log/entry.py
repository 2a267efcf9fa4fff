"""What is kept of a request until its line of the served-feature log is written: references, and no copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from serving.features.entity_rows import EntityRows
from serving.inference import Answer, Tensor


class Seen(NamedTuple):
    """A sampled request's `rows`, what was `found` for them at `now_ms` (the time of day), and what became of it."""

    rows: EntityRows
    found: Mapping[bytes, bytes | None] | None
    now_ms: int
    tensors: Sequence[Tensor]


class Entry(NamedTuple):
    """A sampled request and its answer."""

    seen: Seen
    answer: Answer
