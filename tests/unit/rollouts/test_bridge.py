"""What other rollout controllers are told of a rollout in each of its phases."""

from __future__ import annotations

import json

import pytest

from serving.rollouts.bridge import Go, goes, outcome, told
from serving.rollouts.rollout import NOTHING_SAID, Rollout, Said
from serving.rollouts.transition import Phase, Standing
from serving.rollouts.verdict import Outcome


def at(phase: Phase | None, said: str = "waiting") -> Rollout:
    standing = None if phase is None else Standing(phase, 0, 1.0, "because")
    last = NOTHING_SAID if phase is None else Said(said, "hold", "too_early", "not yet")
    plan = {"steps": [{"weight": 10}]}
    return Rollout("r", "m", 1, 2, plan, started_s=1.0, began_s=1.0, standing=standing, said=last)


@pytest.mark.parametrize(
    ("phase", "said", "expected"),
    [
        (None, "waiting", "waiting"),
        (Phase.STEP, "waiting", "waiting"),
        (Phase.STEP, "pass", "pass"),
        (Phase.STEP, "error", "error"),
        (Phase.AWAITING_APPROVAL, "pass", "pass"),
        (Phase.PAUSED, "inconclusive", "inconclusive"),
        (Phase.PAUSED, "pass", "inconclusive"),
        (Phase.PROMOTED, "error", "pass"),
        (Phase.ROLLED_BACK, "fail", "fail"),
        (Phase.ABORTED, "error", "inconclusive"),
    ],
)
def test_each_phase_has_its_verdict(phase: Phase | None, said: str, expected: str) -> None:
    assert outcome(at(phase, said)) == expected


def test_who_waits_goes_on_what_it_waits_for_and_on_nothing_else() -> None:
    going = {phase: {go for go in Go if goes(at(phase), go)} for phase in (None, *Phase)}
    assert going.pop(Phase.PROMOTED) == {Go.UNHARMED, Go.PROMOTED}
    assert going.pop(Phase.ROLLED_BACK) == {Go.ROLLED_BACK}
    assert going.pop(Phase.PAUSED) == going.pop(Phase.ABORTED) == set()
    assert set(map(frozenset, going.values())) == {frozenset({Go.UNHARMED})}
    assert not any(goes(at(Phase.STEP, said), Go.UNHARMED) for said in (Outcome.INCONCLUSIVE, Outcome.ERROR))


def test_what_is_told_is_plain_json_with_the_reason() -> None:
    seen = told(at(Phase.ROLLED_BACK, "fail"))
    assert (seen["verdict"], seen["sentence"], seen["over"]) == ("fail", "because", True)
    assert json.loads(json.dumps(seen)) == seen
