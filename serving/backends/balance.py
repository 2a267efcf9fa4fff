"""Which replica gets the next batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """A replica that hosts the version."""

    @property
    def free(self) -> bool:
        """It may be given a batch now."""

    @property
    def work_s(self) -> float:
        """Estimated seconds of what it has not answered."""

    @property
    def last_lost_at(self) -> float:
        """When it was last lost with batches in flight, on the monotonic clock; 0 if never."""


C = TypeVar("C", bound=Candidate)


def choose(candidates: Sequence[C], start: int) -> C | None:
    """A free one than which no free one has less work; equals take turns as `start` grows. None when none is free."""
    best: C | None = None
    count = len(candidates)
    for offset in range(count):
        candidate = candidates[(start + offset) % count]
        if candidate.free and (best is None or candidate.work_s < best.work_s):
            best = candidate
    return best


def choose_for_suspect(candidates: Sequence[C]) -> C | None:
    """The free one that was lost least recently: a row under suspicion should meet another replica than it crashed."""
    free = [candidate for candidate in candidates if candidate.free]
    return min(free, key=lambda candidate: (candidate.last_lost_at, candidate.work_s), default=None)
