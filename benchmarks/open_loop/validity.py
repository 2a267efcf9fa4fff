"""Whether a load was the one that was asked for: a generator that lags measures itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.open_loop.outcomes import UNSENT, Outcomes, nearest_rank

LATE_SHARE = 0.01
UNSENT_SHARE = 0.001
RULE = (
    "A load is invalid when over 1 % of its requests left later than a tenth of the latency goal after they were due, "
    "or over 0.1 % could not leave, as so many were out already as the generator allows."
)


@dataclass(frozen=True, slots=True)
class Validity:
    """`problem` says why a load is invalid, or is None."""

    problem: str | None
    late_ms: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return {"valid": self.problem is None, "problem": self.problem, "lateness": self.late_ms}


def validity(outcomes: Outcomes, slo_s: float) -> Validity:
    """By the rule above; a load of nothing is invalid too."""
    if not len(outcomes):
        return Validity("nothing was due", {})
    limit_s = slo_s / 10
    unsent = int((outcomes.status == UNSENT).sum())
    late = np.sort((outcomes.sent - outcomes.due)[outcomes.status != UNSENT])
    told = (
        {f"p{share * 100:g}_ms": round(nearest_rank(late, share) * 1e3, 4) for share in (0.5, 0.99, 1)}
        if len(late)
        else {}
    )
    if unsent > UNSENT_SHARE * len(outcomes):
        return Validity(f"{unsent} of {len(outcomes)} requests could not leave", told)
    share = float((late > limit_s).mean())
    if share > LATE_SHARE:
        return Validity(f"{share:.1%} of the requests left over {limit_s * 1e3:g} ms late", told)
    return Validity(None, told)
