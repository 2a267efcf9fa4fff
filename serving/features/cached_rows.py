"""Rows by key, of which some may be older than they should be."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

_NONE: frozenset[bytes] = frozenset()


class CachedRows(dict[bytes, bytes | None]):
    """`outdated` has the keys of rows that were read before, while now nothing answers.

    A key that is not in it could not be read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outdated: set[bytes] = set()


def outdated_of(found: Mapping[bytes, bytes | None] | None) -> AbstractSet[bytes]:
    """The keys of those rows of `found` that were read before, while now nothing answers."""
    return found.outdated if isinstance(found, CachedRows) else _NONE
