"""Percentiles that hide nothing."""

from __future__ import annotations

import math

import pytest

from loadtests.generator.outcomes import LOST, UNANSWERED, UNSENT, WRONG
from loadtests.judging.latency import histogram, ladder, percentile_ms, summary, waits
from tests.unit.loadtests.judging.made import outcomes


def test_who_was_never_answered_waited_longer_than_everybody_else() -> None:
    ordered = waits(outcomes([1.0] * 97 + [2.0] * 3, [200] * 97 + [UNANSWERED, LOST, UNSENT]))
    assert percentile_ms(ordered, 0.97) == pytest.approx(1.0)
    assert percentile_ms(ordered, 0.98) == math.inf


def test_refusals_and_wrong_answers_are_errors_and_no_latency() -> None:
    found = summary(outcomes([0.1, 0.1, 5.0, 5.0], [503, WRONG, 200, 200]), 1.0)
    assert found["p50_ms"] == pytest.approx(5.0)
    assert found["error_share"] == 0.5
    assert found["by_status"] == {"200": 2, "503": 1, "wrong answer": 1}


def test_each_rung_says_how_many_took_longer() -> None:
    rungs = ladder(waits(outcomes([float(number) for number in range(1, 1001)])))
    over = {share: count for share, _, count in rungs}
    assert (over[0.99], over[0.999], over[1.0]) == (10, 1, 0)
    assert {share: value for share, value, _ in rungs}[0.99] == pytest.approx(990)
    assert 0.9999 not in over


def test_every_finite_wait_is_in_one_bucket() -> None:
    buckets = histogram(waits(outcomes([0.01, 0.5, 5, 50, 500, 500], [200] * 5 + [LOST])))
    assert sum(count for _, _, count in buckets) == 5
    assert all(begins < ends for begins, ends, _ in buckets)


def test_nothing_has_no_percentile() -> None:
    assert percentile_ms(waits(outcomes([])), 0.5) is None
    assert ladder(waits(outcomes([]))) == []
    assert histogram(waits(outcomes([]))) == []
