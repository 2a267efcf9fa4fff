"""Tells those of a turn who wait what was found, in lots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serving.features.store.reading import MOST_TOLD, Found, Then
from serving.features.store.telling import tell


def tell_in_lots(waiting: Mapping[Then, Sequence[Any]], found: Found) -> None:
    """Call each `then` with those who gave it, and what was found; None where that is nothing."""
    lots = [
        (then, several[start : start + MOST_TOLD])
        for then, several in waiting.items()
        for start in range(0, len(several), MOST_TOLD)
    ]
    tell(iter(lots), found or None)
