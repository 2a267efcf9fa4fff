"""Two results side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loadtests.compare import compared, differences, unfit
from serving.errors import ConfigInvalid


def result(p99_ms: float, seed: int, seconds: int = 60, **more: Any) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    timeline = [
        {"at_s": float(at), "p50_ms": 1.0, "p99.9_ms": None, "right_per_second": 100.0, "p99_ms": p99_ms * noise}
        for at, noise in enumerate(random.lognormal(0, 0.2, seconds))
    ]
    for one in timeline:
        one["p99.9_ms"] = one["p99_ms"]
    scenario: dict[str, Any] = {"users": [], "shape": [], "generator": {}}
    return {
        "name": "r", "verdict": "passed", "stages": [], "timeline": timeline, "environment": {"cores": 2},
        "scenario": scenario, **more,
    }  # fmt: skip


def p99(first: dict[str, Any], second: dict[str, Any]) -> Any:
    return next(ratio for ratio in compared(first, second) if ratio.figure == "p99 ms")


def test_the_interval_of_equal_loads_holds_one_and_that_of_a_slower_one_does_not() -> None:
    same, slower = p99(result(10, 1), result(10, 2)), p99(result(10, 1), result(15, 2))
    assert same.word == "no difference seen"
    assert slower.word == "more"
    assert slower.low < 1.5 < slower.high
    assert p99(result(15, 1), result(10, 2)).word == "less"


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(40):
        ratio = p99(result(10, 2 * seed), result(12, 2 * seed + 1))
        covered += ratio.low <= 1.2 <= ratio.high
    assert covered >= 33


def test_too_few_seconds_have_no_interval() -> None:
    with pytest.raises(ConfigInvalid, match="at least 10"):
        compared(result(10, 1, seconds=9), result(10, 1))


def test_the_warm_up_is_no_part_of_it() -> None:
    warm = [{"began_s": 0.0, "seconds": 55.0, "warm_up": True}]
    with pytest.raises(ConfigInvalid, match="5 s"):
        compared(result(10, 1, stages=warm), result(10, 1))


def test_what_makes_results_hard_to_compare_is_told() -> None:
    other = result(10, 1, verdict="invalid", environment={"cores": 8})
    other["scenario"]["shape"] = [1]
    assert differences(result(10, 1), other) == [
        "the second result is invalid",
        "cores differs: 2 and 8",
        "shape of the scenarios differ",
    ]


def endless(every: int) -> dict[str, Any]:
    """One in so many seconds has so many who were never answered that p99 has no end."""
    made = result(10, 1)
    for one in made["timeline"][::every]:
        one |= {"p99_ms": None, "p99.9_ms": None, "never_answered": 3}
    made["scenario"]["generator"] = {"timeout_s": 2.0}
    return made


def test_a_second_without_an_end_counts_with_the_longest_wait_and_is_told() -> None:
    hangs = endless(3)
    assert differences(result(10, 1), hangs) == [
        "p99 of 20 in 60 pieces of the second result has no end: each counts as 2,000 ms",
        "generator of the scenarios differ",
    ]
    assert p99(result(10, 1), hangs).low > 2
    assert p99(hangs, result(10, 1)).high < 0.5


def test_a_result_of_before_tells_seconds_without_an_end_by_those_that_have_one() -> None:
    hangs = endless(3)
    for one in hangs["timeline"]:
        one.pop("never_answered", None)
    assert p99(result(10, 1), hangs).low > 2


def test_a_second_in_which_all_were_refused_has_no_latency() -> None:
    refuses = result(10, 1)
    for one in refuses["timeline"][:30]:
        one |= {"p50_ms": None, "p99_ms": None, "p99.9_ms": None, "never_answered": 0}
    assert p99(result(10, 1), refuses).word == "no difference seen"
    assert differences(result(10, 1), refuses) == []


def test_an_invalid_result_is_no_measure() -> None:
    assert unfit(result(10, 1), result(10, 2, verdict="invalid")) == ["the second result is invalid"]
    assert unfit(result(10, 1), result(10, 2, verdict="failed")) == []
