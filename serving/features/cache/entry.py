"""One row in the near cache, and what it costs in memory."""

from __future__ import annotations

import sys
from types import MemberDescriptorType

# The slot in the dictionary, which is between a third and two thirds full at 20 bytes a slot, and the place in a queue.
_AROUND = 60 + 16


class Entry:
    """`row` None is an id without a row, or what was dropped: its ends have then come.

    `hits` counts to 3; `epoch` is the one in which the row can be trusted; `size` its bytes with all around it.
    """

    __slots__ = ("cost_s", "epoch", "fresh", "hard", "hits", "key", "main", "quiet", "refreshed", "row", "size")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.row: bytes | None = None
        self.size = 0
        self.hits = 0
        self.main = False
        self.epoch = -1
        self.cost_s = 0.0
        self.quiet = self.fresh = self.refreshed = self.hard = 0.0


def _rounded(size: int) -> int:
    """As the allocator gives it out."""
    return (size + 15) & ~15


# Compiled, an entry holds its numbers in itself; else it has a float for each of five times, and its size.
_NUMBERS = (
    5 * _rounded(sys.getsizeof(1.5)) + _rounded(sys.getsizeof(1_000))
    if isinstance(vars(Entry)["hard"], MemberDescriptorType)
    else 0
)
_OBJECT = _rounded(sys.getsizeof(Entry(b""))) + _NUMBERS


def size_of(key: bytes, row: bytes | None) -> int:
    """Bytes of memory of an entry, its key and its row; measured against the interpreter's own count in the tests."""
    return _rounded(sys.getsizeof(key)) + (0 if row is None else _rounded(sys.getsizeof(row))) + _OBJECT + _AROUND
