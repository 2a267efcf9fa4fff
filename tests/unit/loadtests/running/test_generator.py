"""What one generator may have open."""

from __future__ import annotations

import resource

import pytest

from loadtests.running.generator import limits_of
from loadtests.scenario.scenario import Scenario


def scenario(**generator: object) -> Scenario:
    document = {"name": "s", "users": [{"name": "a"}], "shape": [{"for_s": 1, "rate": 1}], "generator": generator}
    return Scenario.model_validate(document)


def test_every_caller_of_a_closed_loop_may_ask() -> None:
    assert limits_of(scenario(loop="closed", callers=10, outstanding=2), 3).outstanding >= 4
    assert limits_of(scenario(outstanding=9), 3).outstanding == 3


def test_no_more_are_out_than_there_may_be_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 200))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: told.append(limits))
    assert limits_of(scenario(), 1).outstanding == 100
    assert told == [(200, 200)]
