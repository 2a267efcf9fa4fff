"""Which rows stay: S3-FIFO, in which a row has to be wanted again before it can drive out one that is wanted often.

Two queues: new rows go through a small one, and only those that were hit twice meanwhile, or come back soon after they
left it, enter the main one, from whose end rows leave that nobody hit since they went through (Yang, Zhang, Qiu, Yue,
Rashmi: FIFO queues are all you need for cache eviction, SOSP 2023). A hit is one small addition; nothing is moved.
"""

from __future__ import annotations

from array import array
from collections import deque

from serving.features.cache.entry import Entry

MOST_HITS = 3
_HITS_TO_ENTER = 2
_SMALL_SHARE = 0.1
# An eviction gives so many rows another round at most: all of a full queue would hold the loop for tens of
# milliseconds.
_MOST_ROUNDS = 256
# Each new row makes up for its own place, so that those wanted often are out of the small queue before it is full.
_ROUNDS_A_ROW = 4
_SMALLEST_ENTRY = 256


class S3Fifo:
    """Keeps the entries that it is given within `most_bytes` by their `size`."""

    def __init__(self, most_bytes: int) -> None:
        # By the hash of a key, a mark of who left the small queue last: 4 bytes an entry instead of a third queue.
        slots = 1 << max(10, (most_bytes // _SMALLEST_ENTRY - 1).bit_length())
        self._left = array("I", bytes(4 * slots))
        self._mask = slots - 1
        self._most = max(0, most_bytes - 4 * slots)
        self._small_most = int(self._most * _SMALL_SHARE)
        self._small: deque[Entry] = deque()
        self._main: deque[Entry] = deque()
        self._small_bytes = 0
        self._main_bytes = 0

    @property
    def used_bytes(self) -> int:
        """Of all entries, and of the queues' own memory."""
        return self._small_bytes + self._main_bytes + 4 * len(self._left)

    def add(self, entry: Entry) -> None:
        """Take a new entry in; the caller then evicts while there is too much."""
        slot, mark = self._place(entry.key)
        if self._left[slot] == mark:
            self._left[slot] = 0
            self._enter(entry)
        else:
            self._small.append(entry)
            self._small_bytes += entry.size
        for _ in range(_ROUNDS_A_ROW):
            if self._small_bytes <= self._small_most or self._small[0].hits < _HITS_TO_ENTER:
                break
            self._leave_small_for_main()

    def resized(self, entry: Entry, size: int) -> None:
        """An entry that is in has another size now."""
        if entry.main:
            self._main_bytes += size - entry.size
        else:
            self._small_bytes += size - entry.size
        entry.size = size

    def evict(self) -> Entry | None:
        """The entry that leaves now; None where all fit."""
        if self._small_bytes + self._main_bytes <= self._most:
            return None
        for _ in range(_MOST_ROUNDS):
            if self._small and (self._small_bytes > self._small_most or not self._main):
                if self._small[0].hits < _HITS_TO_ENTER:
                    return self._leave_small()
                self._leave_small_for_main()
            elif self._main[0].hits:
                entry = self._main.popleft()
                entry.hits -= 1
                self._main.append(entry)
            else:
                return self._leave_main()
        return self._leave_small() if self._small else self._leave_main()

    def clear(self) -> None:
        """Nothing is in any more."""
        self._small.clear()
        self._main.clear()
        self._small_bytes = self._main_bytes = 0

    def _leave_small(self) -> Entry:
        entry = self._small.popleft()
        self._small_bytes -= entry.size
        slot, mark = self._place(entry.key)
        self._left[slot] = mark
        return entry

    def _leave_small_for_main(self) -> None:
        entry = self._small.popleft()
        self._small_bytes -= entry.size
        self._enter(entry)

    def _leave_main(self) -> Entry:
        entry = self._main.popleft()
        self._main_bytes -= entry.size
        return entry

    def _enter(self, entry: Entry) -> None:
        entry.hits = 0
        entry.main = True
        self._main.append(entry)
        self._main_bytes += entry.size

    def _place(self, key: bytes) -> tuple[int, int]:
        number = hash(key)
        # Never 0, which says that nobody left.
        return number & self._mask, (number >> 32 & 0xFFFFFFFF) | 1
