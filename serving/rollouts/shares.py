"""The routing that a rollout wants now: who gets which share, and what is counted of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, NamedTuple

from serving.rollouts import guardrail, transition
from serving.rollouts.measuring import FINE_BOUNDS_US, FINE_EDGES, Basis
from serving.rollouts.plan import ShadowStage
from serving.rollouts.rollout import Rollout
from serving.rollouts.shadow import delta_edges
from serving.rollouts.stratum import WHOLE_BP
from serving.rollouts.transition import Phase
from serving.routing.table import Shadow, Split, Trial

# Workers that answer requests with a key count those alone while it is not known whether there are any.
MEASURED_BY_KEY, MEASURED_BY_REQUEST = "-keys", "-requests"


SHADOWED = "-shadow"


class Shares(NamedTuple):
    """Splits, trial, and the version that has replicas of its own meanwhile, as the supervisor is asked for them."""

    splits: tuple[Split, ...]
    trial: Trial | None
    apart: int = 0

    def as_json(self) -> dict[str, Any]:
        """For the order."""
        trial = None if self.trial is None else asdict(self.trial)
        return {"splits": [asdict(split) for split in self.splits], "trial": trial, "apart": self.apart}


def shares_of(rollout: Rollout) -> Shares:
    """The whole to one version before and after; between, the step's weight to the canary and never more."""
    if rollout.pinned:
        return Shares(_whole(rollout.pinned), None)
    standing, apart = rollout.standing, rollout.apart
    if standing is None:
        return Shares(_split(rollout, 0), _measuring(rollout), apart)
    if standing.phase is Phase.PROMOTED:
        return Shares(_whole(rollout.canary), None)
    plan = rollout.in_force()
    if standing.shadowing and plan.shadow is not None:
        return Shares(_split(rollout, 0), _shadowing(rollout, plan.shadow), apart)
    weight_bp = transition.weight_bp(standing, plan)
    if weight_bp == 0:
        return Shares(_whole(rollout.stable), None, apart)
    return Shares(_split(rollout, weight_bp), _trial(rollout, standing.judged_step, weight_bp), apart)


def measured_as(rollout: Rollout) -> str:
    """Under which id the stable version is counted while it is measured."""
    return rollout.id + (MEASURED_BY_REQUEST if rollout.sticky is False else MEASURED_BY_KEY)


def counted_as(rollout: Rollout) -> str:
    """Under which id what happens now is counted."""
    if rollout.standing is None:
        return measured_as(rollout)
    return shadowed_as(rollout) if rollout.standing.shadowing else rollout.id


def shadowed_as(rollout: Rollout) -> str:
    """Under which id pairs of the shadow stage are counted: apart from those of the arms."""
    return rollout.id + SHADOWED


def _whole(version: int) -> tuple[Split, ...]:
    return (Split("stable", version, WHOLE_BP),)


def _split(rollout: Rollout, weight_bp: int) -> tuple[Split, ...]:
    return (Split("stable", rollout.stable, WHOLE_BP - weight_bp), Split("canary", rollout.canary, weight_bp))


def _measuring(rollout: Rollout) -> Trial:
    output, index = rollout.score
    return Trial(
        rollout=measured_as(rollout),
        generation=0,
        step=0,
        weight_bp=0,
        sticky=rollout.sticky is not False,
        began_s=rollout.began_s,
        count_from_s=rollout.began_s,
        latency_bounds_us=FINE_BOUNDS_US,
        score_output=output,
        score_index=index,
        score_edges=FINE_EDGES if output else (),
        goal_us=rollout.goal_us,
    )


def _shadowing(rollout: Rollout, stage: ShadowStage) -> Trial:
    output, index = rollout.score
    standing = rollout.standing
    # A pause for the whole model's sake is one of the copies as well; what is counted of its callers goes on.
    hurts = standing is not None and standing.phase is Phase.PAUSED and standing.paused_by == guardrail.NAME
    shadow = Shadow(
        rollout.canary,
        0 if hurts else round(stage.percent * 100),
        delta_edges(stage),
        rollout.threshold,
        show_inputs=stage.show_features,
    )
    trial = replace(_trial(rollout, 0, 0), rollout=shadowed_as(rollout), score_output=output, score_index=index)
    return replace(trial, shadow=shadow)


def _trial(rollout: Rollout, step: int, weight_bp: int) -> Trial:
    basis = rollout.basis or Basis()
    output, index = rollout.score
    return Trial(
        rollout=rollout.id,
        generation=0,
        step=step,
        weight_bp=weight_bp,
        sticky=rollout.sticky is not False,
        began_s=rollout.began_s,
        count_from_s=rollout.count_from_s,
        latency_bounds_us=basis.latency_bounds_us,
        score_output=output if basis.score_edges else "",
        score_index=index,
        score_edges=basis.score_edges,
        key_sample=rollout.key_sample,
        goal_us=rollout.goal_us,
    )
