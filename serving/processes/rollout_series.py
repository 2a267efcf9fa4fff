"""What the control app told of rollouts, for the session's page of metrics; a while without news, and it is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any

from serving.telemetry.catalogue import CATALOGUE
from serving.telemetry.snapshot import Series

# The control app tells every 5 s; after this it has ended, or has lost its Redis.
_KEPT_S = 20.0


class RolloutSeries:
    """`now` is monotonic, in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._told_at = -_KEPT_S
        self._gauges: Mapping[Series, float] = {}

    def use(self, gauges: Iterable[list[Any]]) -> None:
        """Everything as it is now: name, labels, value (None for infinity); what is not named any more ends."""
        self._told_at = self._now()
        # A control app of another release may know other metrics.
        self._gauges = {
            Series(name, tuple(map(str, labels))): inf if value is None else float(value)
            for name, labels, value in gauges
            if name in CATALOGUE
        }

    def known(self) -> Mapping[Series, float]:
        """What is to be shown."""
        return self._gauges if self._now() - self._told_at < _KEPT_S else {}
