"""Whether a load was the one that was asked for: a generator that lags measures itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtests.generator.outcomes import UNSENT, Outcomes, nearest_rank

LATE_SHARE = 0.01
UNSENT_SHARE = 0.001
RULE = (
    "A load is invalid when over 1 % of its requests left later than a tenth of the latency goal after they were due. "
    "Where over 0.1 % could not leave, as so many were unanswered already as the generator allows, less was asked "
    "than should have been: nothing is kept then, but what was missed is."
)


@dataclass(frozen=True, slots=True)
class Validity:
    """`problem` says why a load is invalid, `short` why less was asked than should have been; None where it is not."""

    problem: str | None
    short: str | None
    late_ms: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        told = {"problem": self.problem, "short": self.short, "lateness": self.late_ms}
        return {"valid": self.problem is None, "whole": self.short is None, **told}


def validity(outcomes: Outcomes, slo_s: float) -> Validity:
    """By the rule above; a load of nothing is invalid too."""
    sent = outcomes.status != UNSENT
    late = np.sort((outcomes.sent - outcomes.due)[sent])
    if not len(late):
        return Validity("nothing was sent", None, {})
    told = {f"p{share * 100:g}_ms": round(nearest_rank(late, share) * 1e3, 4) for share in (0.5, 0.99, 1)}
    unsent = len(outcomes) - len(late)
    short = f"{unsent} of {len(outcomes)} could not leave" if unsent > UNSENT_SHARE * len(outcomes) else None
    limit_s = slo_s / 10
    share = float((late > limit_s).mean())
    problem = f"{share:.1%} left over {limit_s * 1e3:g} ms late" if share > LATE_SHARE else None
    return Validity(problem, short, told)
