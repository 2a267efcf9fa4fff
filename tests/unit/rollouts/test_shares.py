"""The routing that each standing wants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving.rollouts.measuring import FINE_EDGES, Basis
from serving.rollouts.rollout import Rollout
from serving.rollouts.shares import measured_as, shares_of
from serving.rollouts.transition import Phase, Standing

PLAN = {"steps": [{"weight": 5, "duration": "1m"}, {"weight": 50, "duration": "1m", "approval": True}]}
ROLLOUT = Rollout(
    "r", "m", stable=1, canary=2, plan=PLAN, started_s=1.0, began_s=2.0, score=("y", 1), basis=Basis(), sticky=True
)


def at(phase: Phase, step: int = 0) -> Rollout:
    return replace(ROLLOUT, standing=Standing(phase, step, 3.0))


def of_canary(rollout: Rollout) -> int:
    return sum(split.weight_bp for split in shares_of(rollout).splits if split.version == 2)


@pytest.mark.parametrize(
    ("phase", "step", "weight_bp"),
    [
        (Phase.STEP, 0, 500),
        (Phase.STEP, 1, 5_000),
        (Phase.PAUSED, 1, 5_000),
        (Phase.AWAITING_APPROVAL, 1, 500),
        (Phase.PROMOTED, 1, 10_000),
        (Phase.ROLLED_BACK, 1, 0),
        (Phase.ABORTED, 1, 0),
    ],
)
def test_the_canary_has_the_share_of_the_step_that_holds(phase: Phase, step: int, weight_bp: int) -> None:
    rollout = at(phase, step)
    assert of_canary(rollout) == weight_bp
    assert sum(split.weight_bp for split in shares_of(rollout).splits) == 10_000


def test_what_has_a_share_is_counted_and_nothing_else() -> None:
    trial = shares_of(at(Phase.AWAITING_APPROVAL, 1)).trial
    assert trial is not None
    assert (trial.rollout, trial.step, trial.weight_bp, trial.sticky) == ("r", 0, 500, True)
    assert [shares_of(at(phase)).trial for phase in (Phase.PROMOTED, Phase.ROLLED_BACK, Phase.ABORTED)] == [None] * 3


def test_while_the_stable_version_is_measured_the_canary_gets_nothing_and_counts_are_kept_apart() -> None:
    measuring = replace(ROLLOUT, sticky=None, basis=None)
    shares = shares_of(measuring)
    assert of_canary(measuring) == 0
    assert shares.trial is not None
    assert (shares.trial.rollout, shares.trial.score_edges) == ("r-keys", FINE_EDGES)
    assert measured_as(replace(measuring, sticky=False)) == "r-requests"


def test_without_edges_no_score_is_looked_at() -> None:
    trial = shares_of(at(Phase.STEP)).trial
    assert trial is not None
    assert (trial.score_output, trial.score_edges) == ("", ())


def test_a_pin_gives_everything_to_its_version_whatever_the_standing_is() -> None:
    assert of_canary(replace(at(Phase.STEP, 1), pinned=1)) == 0
    assert of_canary(replace(at(Phase.ROLLED_BACK), pinned=2)) == 10_000


def test_replicas_of_its_own_last_as_long_as_the_rollout() -> None:
    apart = {"pool": "m-canary", "replicas": 1}
    lives = [replace(at(phase, step), own=apart) for phase, step in ((Phase.STEP, 0), (Phase.AWAITING_APPROVAL, 0))]
    assert [shares_of(one).apart for one in (replace(ROLLOUT, own=apart), *lives)] == [2, 2, 2]
    plan = {**PLAN, "shadow": {"percent": 10}}
    paused = replace(at(Phase.PAUSED), standing=Standing(Phase.PAUSED, 0, 3.0, shadow=True))
    assert [shares_of(replace(one, plan=plan, own=apart)).apart for one in (at(Phase.SHADOW), paused)] == [2, 2]
    over = [replace(at(phase), own=apart) for phase in (Phase.PROMOTED, Phase.ROLLED_BACK, Phase.ABORTED)]
    assert [shares_of(one).apart for one in (*over, replace(lives[0], pinned=1), at(Phase.STEP))] == [0] * 5
