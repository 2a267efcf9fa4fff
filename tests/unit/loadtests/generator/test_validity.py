"""When a load is not the one that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.generator.outcomes import UNSENT, Outcomes
from loadtests.generator.validity import validity

SLO_S = 0.05


def load(late: int = 0, unsent: int = 0, count: int = 10_000, by_s: float = 0.006) -> Outcomes:
    due = np.arange(count) / 1_000
    sent = due.copy()
    sent[:late] += by_s
    status = np.full(count, 200, np.int16)
    status[late : late + unsent] = UNSENT
    sent[late : late + unsent] = np.nan
    return Outcomes(
        due, sent, sent + 0.001, status, np.zeros(count, np.bool_), np.zeros(count, np.int16), np.zeros(count, np.int8)
    )


@pytest.mark.parametrize(("late", "valid"), [(0, True), (100, True), (101, False)])
def test_one_request_in_a_hundred_may_leave_late(late: int, valid: bool) -> None:
    assert validity(load(late), SLO_S).as_json()["valid"] is valid


def test_late_is_what_left_later_than_a_tenth_of_the_goal() -> None:
    assert validity(load(10_000, by_s=0.0049), SLO_S).problem is None
    problem = validity(load(10_000), SLO_S).problem
    assert problem is not None
    assert "100.0%" in problem


@pytest.mark.parametrize(("unsent", "whole"), [(10, True), (11, False), (9_999, False)])
def test_one_request_in_a_thousand_may_be_unable_to_leave(unsent: int, whole: bool) -> None:
    told = validity(load(unsent=unsent), SLO_S).as_json()
    assert (told["valid"], told["whole"]) == (True, whole)


def test_lateness_is_told_of_valid_loads_too() -> None:
    told = validity(load(60), SLO_S).as_json()["lateness"]
    assert told == {"p50_ms": 0, "p99_ms": 0, "p100_ms": pytest.approx(6)}


@pytest.mark.parametrize("nothing", [load(count=0), load(unsent=10_000)])
def test_a_load_of_nothing_is_invalid(nothing: Outcomes) -> None:
    assert validity(nothing, SLO_S).problem == "nothing was sent"
