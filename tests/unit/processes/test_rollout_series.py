"""What the control app told of rollouts, as the page of metrics has it."""

from __future__ import annotations

from math import inf

from serving.processes.rollout_series import RolloutSeries
from serving.telemetry.catalogue import ROLLOUT_RATIO_BOUND, ROLLOUT_WEIGHT
from serving.telemetry.snapshot import Series

WEIGHT = Series(ROLLOUT_WEIGHT.name, ("m", "r"))
BOUND = Series(ROLLOUT_RATIO_BOUND.name, ("m", "r", "errors", "upper"))


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_what_is_told_replaces_what_was_and_ends_without_news() -> None:
    now = Clock()
    series = RolloutSeries(now)
    assert series.known() == {}
    series.use([[*WEIGHT, 0.1], [*BOUND, None]])
    assert series.known() == {WEIGHT: 0.1, BOUND: inf}
    now.at = 15.0
    series.use([[*WEIGHT, 0.5]])
    now.at = 30.0
    assert series.known() == {WEIGHT: 0.5}
    now.at = 36.0
    assert series.known() == {}


def test_metrics_that_this_release_does_not_know_are_left_out() -> None:
    series = RolloutSeries(Clock())
    series.use([["sluice_rollout_of_tomorrow", ["m"], 1.0], [*WEIGHT, 0.1]])
    assert series.known() == {WEIGHT: 0.1}
