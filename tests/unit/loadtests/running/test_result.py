"""The verdict."""

from __future__ import annotations

from loadtests.judging.self_check import SelfCheck, self_check
from loadtests.running.result import verdict
from loadtests.scenario.scenario import Gates
from tests.unit.loadtests.judging.made import outcomes


def test_who_gives_up_in_the_warm_up_has_interrupted_a_load_and_not_an_invalid_one() -> None:
    nothing = self_check(outcomes([]), Gates(), [], [])
    assert verdict(nothing, [], interrupted=True) == "interrupted"
    assert verdict(nothing, [], interrupted=False) == "invalid"
    assert verdict(SelfCheck(("late",), (), {}), [], interrupted=True) == "invalid"
