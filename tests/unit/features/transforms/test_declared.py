"""Transforms as they are declared."""

from __future__ import annotations

from typing import Any

import pytest

from serving.features.transforms.declared import declared
from serving.features.transforms.offline import model_columns

C = "request.x"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"cyclic": C, "period": 24}, ["cyclic(request.x).sin", "cyclic(request.x).cos"]),
        ({"cyclic": C, "of": "weekday"}, ["cyclic(request.x, weekday).sin", "cyclic(request.x, weekday).cos"]),
        ({"log": C}, ["log(request.x)"]),
        ({"log1p": [C]}, ["log1p(request.x)"]),
        ({"clip": C, "low": 0}, ["clip(request.x)"]),
        ({"ratio": [C, "v.y"], "otherwise": 0}, ["ratio(request.x, v.y)"]),
        ({"haversine": [C, C, C, C]}, ["haversine(request.x, request.x, request.x, request.x)"]),
        ({"lookup": C, "table": {"a": 1, 7: 2}, "otherwise": 0}, ["lookup(request.x)"]),
        ({"lookup": C, "table": {"a": [1, 2]}, "otherwise": [0, 0]}, ["lookup(request.x).0", "lookup(request.x).1"]),
        ({"one_hot": C, "values": ["a", 7]}, ["one_hot(request.x)=a", "one_hot(request.x)=7"]),
        ({"hash": C, "buckets": 32}, ["hash(request.x)"]),
        ({"hash": C, "buckets": 2, "columns": True}, ["hash(request.x)=0", "hash(request.x)=1"]),
    ],
)
def test_every_kind_has_a_name_for_each_column_that_it_makes(given: dict[str, Any], names: list[str]) -> None:
    assert list(declared(given).names) == model_columns([given]) == names


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "a transform names one of cyclic, log, log1p"),
        ({"sqrt": C}, "a transform names one of .*; got sqrt"),
        ({"log": C, "clip": C}, "a transform names one of"),
        ({"log": 7}, "log takes one column, <view>.<feature> or request.<field>; got 7"),
        ({"haversine": [C]}, "haversine takes a list of 4 columns"),
        ({"log": C, "base": 2}, "log has no option 'base'; it has none"),
        ({"hash": C}, "hash needs buckets"),
        ({"cyclic": C}, "cyclic needs either period, a number, or of, hour or weekday"),
        ({"cyclic": C, "period": 24, "of": "hour"}, "cyclic needs either"),
        ({"cyclic": C, "period": 0}, "period must be above 0"),
        ({"cyclic": C, "period": "day"}, "period must be a number, got 'day'"),
        ({"cyclic": C, "period": 24, "utc_offset_h": 1}, "has no utc_offset_h"),
        ({"cyclic": C, "of": "month"}, "of must be hour or weekday, got 'month'"),
        ({"clip": C}, "clip needs low, high or both"),
        ({"clip": C, "low": 2, "high": 1}, "low 2 is above high 1"),
        ({"clip": C, "low": float("nan")}, "low must be a number, got nan"),
        ({"ratio": [C, C], "otherwise": True}, "otherwise must be a number, got True"),
        ({"lookup": C, "table": {}, "otherwise": 0}, "table must map words to numbers"),
        ({"lookup": C, "table": {"a": [1]}, "otherwise": [0, 0]}, "'a' has 1 numbers, and otherwise 2"),
        ({"lookup": C, "table": {7: 1, "7": 2}, "otherwise": 0}, "names '7' twice"),
        (
            {"lookup": C, "table": {False: 1}, "otherwise": 0},
            "False is neither text nor a whole number; text like that",
        ),
        ({"one_hot": C, "values": []}, "values must be a list of 1 to 4096 words"),
        ({"one_hot": C, "values": ["a", "a"]}, "names 'a' twice"),
        ({"one_hot": C, "values": [1.5]}, "1.5 is neither text nor a whole number"),
        ({"hash": C, "buckets": 1}, "buckets must be a whole number from 2 to"),
        ({"hash": C, "buckets": 4_097, "columns": True}, "from 2 to 4096"),
        ({"hash": C, "buckets": 8, "columns": 1}, "columns must be true or false, got 1"),
    ],
)
def test_what_is_no_transform_is_told_with_what_would_be_right(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        declared(given)
