"""Stages become phases."""

from __future__ import annotations

import pytest

from loadtests.scenario.scenario import Stage
from loadtests.scenario.shape import phases, stage_spans


@pytest.mark.parametrize(
    "stage",
    [
        Stage(for_s=60, rate=100),
        Stage(for_s=60, rate=100, to=500),
        Stage(for_s=60, rate=100, to=500, steps=5),
        Stage(for_s=60, rate=100, to=500, curve="day"),
    ],
)
def test_phases_last_as_long_as_their_stage_and_keep_its_name(stage: Stage) -> None:
    made = phases([stage])
    assert sum(phase.seconds for phase in made) == pytest.approx(60)
    assert {phase.name for phase in made} == {"stage-1"}


def test_steps_go_from_the_first_rate_to_the_last() -> None:
    made = phases([Stage(for_s=60, rate=100, to=500, steps=5)])
    assert [phase.rate for phase in made] == [100, 200, 300, 400, 500]


def test_a_day_has_its_noon_in_the_middle() -> None:
    made = phases([Stage(for_s=48, rate=100, to=500, curve="day")])
    assert made[0].rate == pytest.approx(100)
    assert made[24].rate == pytest.approx(500)
    assert made[-1].last_rate == pytest.approx(100)


def test_spans_follow_each_other_and_know_the_warm_up() -> None:
    spans = stage_spans([Stage(for_s=5, rate=1, warm_up=True), Stage(name="load", for_s=10, rate=1)])
    assert [(one.name, one.began, one.ended, one.warm_up) for one in spans] == [
        ("stage-1", 0, 5, True),
        ("load", 5, 15, False),
    ]
