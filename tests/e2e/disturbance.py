"""What a disturbance costs those whom it does not concern: their times in the quiet before it and during it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from serving.testing.load_client import Report, Span

_P99 = 0.99


@dataclass(slots=True)
class Disturbances:
    """Of one kind, one after the other; whoever reads the row of figures judges, no test does."""

    name: str
    report: Report
    rounds: list[tuple[Span, Span]] = field(default_factory=list)

    @contextmanager
    def during(self, quiet_s: float) -> Iterator[None]:
        """The body is the disturbance; before it comes a quiet of `quiet_s`."""
        began = time.monotonic()
        time.sleep(quiet_s)
        disturbed = time.monotonic()
        yield
        self.rounds.append(((began, disturbed), (disturbed, time.monotonic())))

    def __str__(self) -> str:
        """Of each round, and of all together."""
        told, ratios = [], []
        for number, (quiet, disturbed) in enumerate(self.rounds, start=1):
            times, ratio = self._compared([quiet], [disturbed])
            told.append(f"{number}: {times}")
            ratios.append(ratio)
        if not ratios:
            return f"{self.name}: not measured"
        together, _ = self._compared([one for one, _ in self.rounds], [one for _, one in self.rounds])
        told.append(f"all: {together}; median of the rounds x {statistics.median(ratios):.2f}")
        return "\n  ".join([self.name, *told])

    def _compared(self, quiet: Sequence[Span], disturbed: Sequence[Span]) -> tuple[str, float]:
        p50, p99 = (1e3 * took_s for took_s in self.report.percentiles_s(quiet, 0.5, _P99))
        p50_then, p99_then = (1e3 * took_s for took_s in self.report.percentiles_s(disturbed, 0.5, _P99))
        lasted_s = sum(ended - began for began, ended in disturbed)
        ratio = p99_then / p99
        times = f"p50 {p50:.2f} -> {p50_then:.2f} ms, p99 {p99:.2f} -> {p99_then:.2f} ms"
        return f"{times}, x {ratio:.2f} in {lasted_s:.1f} s", ratio
