"""What is typed becomes a request, or a sentence about what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from serving.cli.failure import CommandFailed, ExitCode
from serving.cli.gateway_client import Reply
from serving.cli.prediction import Typed, asked_for, rendered
from serving.features.feature_status import OUTDATED, PRESENT, STATUSES


def refusal(*given: Any) -> str:
    with pytest.raises(CommandFailed) as refused:
        asked_for(Typed(*given[:3]), given[3])
    assert refused.value.code == ExitCode.WRONG_USAGE
    return refused.value.message


@pytest.mark.parametrize(
    ("typed", "row"), [("1,2.5,3", [1, 2.5, 3]), ("[[1],[2]]", [[1], [2]]), ('"a",true', ["a", True])]
)
def test_a_row_is_values_with_commas_or_a_json_list(typed: str, row: list[object]) -> None:
    assert asked_for(Typed(rows=[typed])).rows == [row]


def test_tensors_are_json_and_fields_may_be_plain_text() -> None:
    assert asked_for(Typed(["x=[[1,2]]", "y=3"]), 4).tensors == {"x": [[1, 2]], "y": 3}
    assert asked_for(Typed(fields=["tail=N1=4", "hour=5", "ok=true"])).instance == {
        "tail": "N1=4",
        "hour": 5,
        "ok": True,
    }


def test_entities_and_fields_are_one_instance_and_an_id_stays_text() -> None:
    assert asked_for(Typed(fields=["hour=5"], entities=["flight=17"])).instance == {"flight": "17", "hour": 5}
    with pytest.raises(CommandFailed, match="--entity 17: must look like"):
        asked_for(Typed(entities=["17"]))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (([], [], [], None), "with one of --input NAME=JSON"),
        ((["x=1"], ["1"], [], None), "with one of"),
        ((["x"], [], [], None), "--input x: must look like NAME=VALUE"),
        ((["=1"], [], [], None), "must look like NAME=VALUE"),
        ((["x=abc"], [], [], None), "'abc' is no JSON"),
        (([], ["1,,2"], [], None), "--row 1,,2: must be values with commas"),
        (([], [], ["a=1"], 2), "--version goes with --input or --row"),
    ],
)
def test_what_cannot_be_read_is_wrong_usage(given: Any, said: str) -> None:
    assert said in refusal(*given)


def told_above(degraded: str) -> list[str]:
    """The lines between who answered and the answer."""
    headers = {"x-sluice-version": "2", "x-sluice-degraded": degraded}
    return [str(line) for line in list(rendered("late", Reply(200, headers, {"predictions": [1]}, 0.001)))[1:-1]]


def test_what_became_of_features_is_told_above_the_answer() -> None:
    assert told_above("") == []
    assert told_above("plane=not_found, route.a=null, carrier=not_found, route.b=null, and 3 more") == [
        "no row is stored, defaults or imputed values stand in: plane, carrier",
        "no value is stored, defaults or imputed values stand in: route.a, route.b",
        "x-sluice-degraded: and 3 more",
    ]
    assert told_above("plane=stale_used") == [
        "the features store does not answer, the row kept near was used: plane",
    ]


@pytest.mark.parametrize("status", [status for status in STATUSES if status != PRESENT])
def test_whether_anything_stood_in_is_told_of_every_status(status: str) -> None:
    (line,) = told_above(f"plane={status}")
    assert line.endswith(": plane")
    assert ("stand in" in line) == (status != OUTDATED)
