"""Steps in the words of Argo Rollouts become steps of a plan, and what has no place here is said."""

from __future__ import annotations

from typing import Any

import pytest

from serving.errors import ConfigInvalid
from serving.rollouts.plan import Step
from serving.rollouts.plan_file import parse

ARGO: list[Any] = [
    {"setWeight": 5},
    {"pause": {"duration": "10m"}},
    {"setWeight": 20},
    {"pause": {"duration": 90}},
    {"pause": {}},
    {"setWeight": 60},
    {"setWeight": 100},
]


def test_a_weight_is_kept_for_its_pause_and_one_without_a_duration_waits_for_a_person() -> None:
    assert parse({"steps": ARGO}).steps == (
        Step(500, 600, 7_200),
        Step(2_000, 90, 1_080),
        Step(6_000, 300, 3_600, approval=True),
    )


def test_it_is_the_same_plan_as_in_the_words_of_plans() -> None:
    ours = [
        {"weight": 5, "duration": "10m"},
        {"weight": 20, "duration": "90s"},
        {"weight": 60, "approval": True},
    ]
    assert parse({"steps": ours}) == parse({"steps": ARGO})


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ([{"pause": {}}, {"setWeight": 5}], "steps[0]: comes before the first setWeight"),
        ([{"setWeight": 5}, {"analysis": {}}], "steps[1]: is neither {setWeight: 5} nor {pause: {duration: 5m}}"),
        ([{"setWeight": 5}, {"weight": 10}], "steps[1]: is neither"),
        ([{"setWeight": 5, "pause": {}}], "steps[0]: is neither"),
        (
            [{"setWeight": 5}, {"pause": {"duration": 60}}, {"pause": {"duration": 9}}],
            "steps[2]: is one pause too many",
        ),
        ([{"setWeight": 5}, {"pause": {}}, {"pause": {}}, {"setWeight": 6}], "steps[2]: is one pause too many"),
        ([{"setWeight": 5}, {"pause": {}}], "steps[1]: waits before 100 %, which follows by itself"),
        ([{"setWeight": 5}, {"pause": 5}], "steps[1]: 5 is no pause; {duration: 5m}"),
        ([{"setWeight": 5}, {"pause": {"duration": "soon"}}], "steps[0].duration: 'soon' is no duration"),
        ([{"setWeight": 5}, {"pause": {"duration": True}}], "is no pause"),
        ([{"setWeight": 20}, {"setWeight": 5}], "steps[1].weight: 5 % follows 20 %; weights must grow"),
        ([{"setWeight": 100}], "steps[0].weight: 100 is no weight"),
        ([{"setWeight": {}}], "steps[0].weight: {} is no weight"),
    ],
)
def test_what_has_no_place_here_is_said_with_its_place(steps: list[Any], sentence: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse({"steps": steps})
    assert sentence in refused.value.message
