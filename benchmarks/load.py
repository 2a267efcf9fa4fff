"""What a load generator tells of one load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """Durations in microseconds; `failed` counts answers of status 400 and more and broken
    connections, which can look quick; `late` those over 10 s, which cannot.
    """

    requests: int
    seconds: float
    p50_us: float
    p90_us: float
    p99_us: float
    max_us: float
    failed: int
    late: int
    errors: dict[str, int]
    answer_bytes: float

    @property
    def per_second(self) -> float:
        """Answers a second, failed ones left out."""
        return (self.requests - self.errors["status"]) / self.seconds
