"""Outcomes made up for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadtests.generator.outcomes import Outcomes


def outcomes(took_ms: Sequence[float], status: Sequence[int] | int = 200, late_ms: float = 0.0) -> Outcomes:
    """One request a millisecond."""
    count = len(took_ms)
    due = np.arange(count) / 1e3
    return Outcomes(
        due=due,
        sent=due + late_ms / 1e3,
        ended=due + np.asarray(took_ms, np.float64) / 1e3,
        status=np.broadcast_to(np.asarray(status, np.int16), count).copy(),
        retry_after=np.zeros(count, np.bool_),
        stream=np.zeros(count, np.int16),
        variant=np.full(count, -1, np.int8),
    )
