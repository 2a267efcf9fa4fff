"""What other rollout controllers are told: the verdict in a few words, and whether one of their own steps may go on."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from serving.rollouts import transition
from serving.rollouts.rollout import Rollout
from serving.rollouts.transition import Phase
from serving.rollouts.verdict import Outcome


class Go(StrEnum):
    """On what somebody else goes on: no harm was found yet, the canary was promoted, or it was rolled back."""

    UNHARMED = "unharmed"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


# How a rollout that is over ended: who ended it by hand said nothing of the canary.
_ENDS = {Phase.PROMOTED: Outcome.PASS, Phase.ROLLED_BACK: Outcome.FAIL, Phase.ABORTED: Outcome.INCONCLUSIVE}
# As long as the rollout itself goes on by itself, nothing has been found.
_UNHARMED = frozenset({Outcome.PASS, Outcome.WAITING})


def outcome(rollout: Rollout) -> Outcome:
    """`pass`, `fail`, `inconclusive` or `error`, or `waiting` while nothing is decided; paused is never `waiting`."""
    standing = rollout.standing
    if standing is None:
        return Outcome.WAITING
    if standing.over:
        return _ENDS[standing.phase]
    said = Outcome(rollout.said.outcome)
    if standing.phase is Phase.PAUSED and said in _UNHARMED:
        return Outcome.INCONCLUSIVE
    return said


def told(rollout: Rollout) -> dict[str, Any]:
    """The verdict with its reason, flat and of plain values, as path expressions find them."""
    standing = rollout.standing
    return {
        "rollout": rollout.id,
        "model": rollout.model,
        "stable": rollout.stable,
        "canary": rollout.canary,
        "verdict": str(outcome(rollout)),
        "phase": rollout.phase,
        "over": rollout.over,
        "step": 0 if standing is None else standing.step,
        "weight_percent": 0.0 if standing is None else transition.weight_bp(standing, rollout.in_force()) / 100,
        "reason": rollout.said.reason,
        "sentence": sentence(rollout),
    }


def goes(rollout: Rollout, go: Go) -> bool:
    """Whether who waits for this may go on now."""
    match go:
        case Go.UNHARMED:
            return outcome(rollout) in _UNHARMED
        case Go.PROMOTED:
            return rollout.phase == Phase.PROMOTED
        case Go.ROLLED_BACK:
            return rollout.phase == Phase.ROLLED_BACK


def sentence(rollout: Rollout) -> str:
    """Why it stands where it stands."""
    standing = rollout.standing
    return rollout.said.sentence if standing is None else standing.reason or rollout.said.sentence
