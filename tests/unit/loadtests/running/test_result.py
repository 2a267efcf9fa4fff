"""The verdict, and what is told of each second."""

from __future__ import annotations

from loadtests.generator.outcomes import UNANSWERED
from loadtests.judging.self_check import SelfCheck, self_check
from loadtests.running.result import timeline, verdict
from loadtests.scenario.scenario import Gates
from tests.unit.loadtests.judging.made import outcomes


def test_who_gives_up_in_the_warm_up_has_interrupted_a_load_and_not_an_invalid_one() -> None:
    nothing = self_check(outcomes([]), Gates(), [], [])
    assert verdict(nothing, [], interrupted=True) == "interrupted"
    assert verdict(nothing, [], interrupted=False) == "invalid"
    assert verdict(SelfCheck(("late",), (), {}), [], interrupted=True) == "invalid"


def test_each_second_tells_who_was_refused_from_who_was_never_answered() -> None:
    refused, hung = timeline(outcomes([1.0] * 2_000, [503] * 1_000 + [UNANSWERED] * 1_000), 2.0)
    assert (refused["p99_ms"], refused["never_answered"]) == (None, 0)
    assert (hung["p99_ms"], hung["never_answered"]) == (None, 1_000)
