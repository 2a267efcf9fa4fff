"""How fast a client takes what was written for it, from the moment the transport said that it does not keep up."""

from __future__ import annotations

from serving.edge.http.limits import HttpLimits


class ReadPace:
    """One pause of a connection's writer; `size` is what waits in the transport, in bytes, times are monotonic."""

    __slots__ = ("_begun_at", "_begun_size", "_since", "_size")

    def __init__(self, size: int, now: float) -> None:
        self._begun_size = self._size = size
        self._begun_at = self._since = now

    def too_slow(self, size: int, now: float, limits: HttpLimits) -> bool:
        """Whether it takes nothing now, or too little on the whole: 64 KB now and then would hold it for hours."""
        if size <= self._size - limits.write_progress_kb * 1024:
            self._size = size
            self._since = now
        elif now - self._since > limits.write_stall_s:
            return True
        return now - self._begun_at > limits.read_allowed_s(self._begun_size - size)
