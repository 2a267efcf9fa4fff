"""What was said on a stream and is not taken yet: how much, since when nothing more was, and how fast it is taken."""

from __future__ import annotations

from collections import deque

from serving.edge.grpc.limits import GrpcLimits


class Untaken:
    """Sizes of messages, oldest first: memory is held for all of one until its last byte has left."""

    __slots__ = ("_left", "_since", "_sizes", "_spent_s", "_taken", "total")

    def __init__(self) -> None:
        self._left = 0
        self._since = 0.0
        self._sizes: deque[int] = deque()
        # Since something waits.
        self._spent_s = 0.0
        self._taken = 0
        self.total = 0

    def add(self, size: int, now: float) -> None:
        """A message was said."""
        if not self._sizes:
            self._since = now
            self._spent_s, self._taken = 0.0, 0
        self._sizes.append(size)
        self._left += size
        self.total += size

    def look(self, left: int, now: float) -> int:
        """So many bytes are `left` now; returns the size of all messages that have been taken since the last look."""
        if left < self._left:
            self._since = now
            self._taken += self._left - left
        self._left = left
        before = self.total
        while self._sizes and self.total - self._sizes[0] >= left:
            self.total -= self._sizes.popleft()
        return before - self.total

    def too_slow(self, now: float, spent_s: float, limits: GrpcLimits) -> bool:
        """Whether the client takes nothing now, or too little on the whole: a byte now and then holds it for hours.

        `spent_s` is the call's share of the time since it was asked last.
        """
        if not self._sizes:
            return False
        self._spent_s += spent_s
        return now - self._since > limits.write_stall_s or self._spent_s > limits.read_allowed_s(self._taken)
