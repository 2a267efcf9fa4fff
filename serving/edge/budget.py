"""Bytes one worker holds for requests and answers in flight."""

from __future__ import annotations


class ByteBudget:
    """Counts what is held against a capacity; whoever takes gives back, exactly once."""

    __slots__ = ("capacity", "used")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0

    def fits(self, size: int) -> bool:
        """Whether `size` more bytes may be held."""
        return self.used + size <= self.capacity

    def take(self, size: int) -> None:
        """Count `size` bytes that are held now; answers are counted even where they do not fit."""
        self.used += size

    def give_back(self, size: int) -> None:
        """Those bytes are held no more."""
        self.used -= size
