"""Worlds as people describe them in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.errors import ConfigInvalid
from serving.rollouts.world import Fault, Peak, World
from serving.rollouts.world_file import parse

EXAMPLE = Path(__file__).parents[3] / "deployments" / "rollouts" / "world.yaml"


def test_an_empty_file_is_the_usual_world() -> None:
    assert parse({}) == World()


def test_the_example_says_every_part_and_is_taken() -> None:
    world = parse(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))
    assert (world.requests_per_min, world.keys, world.peak) == (3_000.0, 20_000, Peak(1_800.0, 900.0, 2.0))
    assert world.fault == Fault(error_ratio=5.0, above_load=1.5)
    assert world.outage is None


def test_what_breaks_both_arms_is_said_apart() -> None:
    assert parse({"outage": {"error_ratio": 30, "from_s": 60}}).outage == Fault(error_ratio=30.0, from_s=60.0)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"request_per_min": 5}, "world: unknown key 'request_per_min'; there are requests_per_min,"),
        ({"error_rate": 2}, "error_rate: 2 is not permitted; a number between 0 and 1"),
        ({"keys": 1.5}, "keys: 1.5 is not permitted; a whole number between 0 and 1e+06"),
        ({"keys": True}, "keys: True is not permitted"),
        ({"requests_per_min": float("nan")}, "requests_per_min: nan is not permitted"),
        ({"drifts": "no"}, "drifts: 'no' is not permitted; true or false"),
        ({"fault": 3}, "fault: is no mapping with any of the keys error_ratio,"),
        ({"fault": {"latency": 2}}, "fault: unknown key 'latency'"),
        ({"outage": {"score_shift": 1}}, "outage: unknown key 'score_shift'; there are error_ratio, latency_factor,"),
        ({"peak": {"at_s": 5}}, "peak: width_s, factor missing"),
        ({"peak": {"at_s": "x", "width_s": 1, "factor": 1}}, "peak.at_s: 'x' is not permitted"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(document: Any, sentence: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse(document)
    assert sentence in refused.value.message


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse({"a": 1, "keys": -1, "fault": {"b": 2}})
    assert len(refused.value.message.splitlines()) == 3
