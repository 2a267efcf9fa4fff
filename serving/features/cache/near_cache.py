"""Rows by key within a bound of bytes; it decides nothing about their age."""

from __future__ import annotations

from serving.features.cache.entry import Entry, size_of
from serving.features.cache.lifetime import Ends
from serving.features.cache.s3_fifo import S3Fifo


class NearCache:
    """`entries` is for look-ups, which are too many for a call each; `most_bytes` bounds everything."""

    def __init__(self, most_bytes: int) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.evictions = 0
        self._queues = S3Fifo(most_bytes)

    @property
    def used_bytes(self) -> int:
        """All memory of the cache."""
        return self._queues.used_bytes

    def put(self, key: bytes, row: bytes | None, ends: Ends, cost_s: float, epoch: int) -> None:
        """Keep a row, or that there is none, in the place of what was known."""
        size = size_of(key, row)
        entry = self.entries.get(key)
        if entry is None:
            entry = Entry(key)
            entry.size = size
            self.entries[key] = entry
            self._queues.add(entry)
        else:
            self._queues.resized(entry, size)
        entry.row = row
        entry.quiet, entry.fresh, entry.refreshed, entry.hard = ends
        entry.cost_s = cost_s
        entry.epoch = epoch
        while (leaves := self._queues.evict()) is not None:
            del self.entries[leaves.key]
            self.evictions += 1

    def drop(self, key: bytes) -> None:
        """Forget a row; its place stays, so that rows that are written all the time keep what they earned."""
        entry = self.entries.get(key)
        if entry is not None:
            self._queues.resized(entry, size_of(key, None))
            entry.row = None
            entry.quiet = entry.fresh = entry.refreshed = entry.hard = 0.0

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self._queues.clear()
