"""What was said on a stream and is not taken yet: how much, and since when nothing more was."""

from __future__ import annotations

from collections import deque


class Untaken:
    """Sizes of messages, oldest first: memory is held for all of one until its last byte has left."""

    __slots__ = ("_left", "_since", "_sizes", "total")

    def __init__(self) -> None:
        self._left = 0
        self._since = 0.0
        self._sizes: deque[int] = deque()
        self.total = 0

    def add(self, size: int, now: float) -> None:
        """A message was said."""
        if not self._sizes:
            self._since = now
        self._sizes.append(size)
        self._left += size
        self.total += size

    def look(self, left: int, now: float) -> int:
        """So many bytes are `left` now; returns the size of all messages that have been taken since the last look."""
        if left < self._left:
            self._since = now
        self._left = left
        before = self.total
        while self._sizes and self.total - self._sizes[0] >= left:
            self.total -= self._sizes.popleft()
        return before - self.total

    def stalled(self, now: float, allowed_s: float) -> bool:
        """Whether the client has let something lie for longer, and taken not one byte meanwhile."""
        return bool(self._sizes) and now - self._since > allowed_s
