"""What a look comes to: the rollout after it, and what the audit keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from serving.rollouts.rollout import Rollout, Said
from serving.rollouts.transition import Phase, Standing


@dataclass(frozen=True, slots=True)
class Looked:
    """The rollout after the look, and what the audit keeps of a verdict that changed something; None of others."""

    rollout: Rollout
    entry: Mapping[str, Any] | None = None


def told(who: str, what: str, before: Rollout | None, after: Rollout, now_s: float) -> dict[str, Any]:
    """What every entry of the audit says."""
    standing = after.standing
    return {
        "at_s": now_s,
        "who": who,
        "what": what,
        "from": "" if before is None else before.phase,
        "to": after.phase,
        "step": 0 if standing is None else standing.step,
        "why": after.said.sentence if standing is None else standing.reason or after.said.sentence,
    }


def given_up(rollout: Rollout, reason: str, why: str, now_s: float) -> Looked:
    """Says nothing of the canary: nobody can judge it."""
    said = Said("error", "hold", reason, why)
    ended = replace(rollout, standing=Standing(Phase.ABORTED, 0, now_s, why), said=said)
    return Looked(ended, told("controller", "aborted", rollout, ended, now_s))
