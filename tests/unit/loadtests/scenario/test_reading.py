"""Scenario files are read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.scenario.reading import find, parsed, read, ready
from serving.errors import ConfigInvalid

GOOD = """
name: s
users: [{name: flights}]
shape: [{for_s: 10, rate: 100}]
"""


@pytest.mark.parametrize("name", ready())
def test_every_ready_scenario_is_one_and_says_what_it_finds_out(name: str) -> None:
    scenario = read(find(name))
    assert scenario.name == name
    assert scenario.about
    assert scenario.gates.model_dump(exclude_defaults=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("gates: {p99: 5}", "unknown key; did you mean"),
        ("gates: {p99_ms: -5}", "permitted: a number above 0"),
        ("gates: {errors: 2}", "is 2"),
        ("generator: {loop: half-open}", "open"),
        ("generator: {seed: seven}", "whole number"),
        ("target: 127.0.0.1", 'is "127.0.0.1"'),
        ("chaos: [{at_s: 3}]", "do"),
        ("chaos: [{at_s: 10, do: kill-worker}]", "kill-worker at 10 s comes after the end: the stages last 10 s"),
        ("name: s\nname: t", "stands twice"),
        ("gates: {percentile_rule: true}", "p99_ms, which is missing"),
        ("gates: {errors_by: {unaswered: 0}}", "'unaswered' is no kind of error"),
        ('gates: {errors_by: {"200": 0}}', "no kind of error"),
        ("gates: {variants: {canary: {duration_s: 600}}}", "not of a variant"),
        ("generator: {replay: times.txt}", "not both"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(change: str, said: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parsed(GOOD + change, "file.yaml")
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("[]", "name either"),
        ("[{for_s: 10}]", "no stage has a rate"),
        ("[{for_s: 80000, rate: 1}, {for_s: 80000, rate: 1}]", "at the most 86400"),
        ("[{for_s: 1000, rate: 200000}]", "for memory's sake"),
        ("[{for_s: 10, rate: 5, steps: 3}]", "`to`, which is missing"),
        ("[{for_s: 10, rate: 5, to: 6, steps: 3, curve: day}]", "a day has no steps"),
    ],
)
def test_a_shape_is_bounded_and_makes_sense(shape: str, said: str) -> None:
    text = f"name: s\nusers: [{{name: flights}}]\nshape: {shape}\n"
    with pytest.raises(ConfigInvalid) as refused:
        parsed(text, "file.yaml")
    assert said in refused.value.message


def test_a_name_that_is_neither_file_nor_scenario_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="smoke"):
        find("unknown")
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        read(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ('{name: a, headers: {x: "1\\r\\ny: 2"}}', "headers"),
        ('{name: a, headers: {"x y": "1"}}', "headers"),
        (f"{{name: a, protocol: grpc, headers: {dict.fromkeys(map('x{}'.format, range(51)), '1')}}}", "room for 50"),
        ('{name: a, protocol: grpc, headers: {TE: "1"}}', "gRPC sends a TE of its own"),
        (f'{{name: a, protocol: grpc, headers: {{x: "{"1" * 127}"}}}}', "at the most 126 characters"),
        ('{name: a, protocol: grpc, headers: {x: "1"}}, {name: b, protocol: grpc}', "have the same headers"),
    ],
)
def test_a_header_that_would_not_be_sent_as_it_is_is_refused(user: str, said: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parsed(f"name: s\nusers: [{user}]\nshape: [{{for_s: 10, rate: 100}}]\n", "file.yaml")
    assert said in refused.value.message
