"""Figures of a load from what became of its requests."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.generator.outcomes import LOST, UNANSWERED, UNSENT, WRONG, Outcomes, figures, milliseconds, recovery_s

NEVER = float("nan")
SLO_S = 0.05


def made(*entries: tuple[float, float, float, int]) -> Outcomes:
    """Due, sent, ended, status."""
    due, sent, ended, status = (np.array(column) for column in zip(*entries, strict=True))
    retry = status == 503
    return Outcomes(
        due, sent, ended, status.astype(np.int16), retry, np.zeros(len(due), np.int16), np.full(len(due), -1, np.int8)
    )


EACH = made(
    (0.0, 0.0, 0.01, 200),
    (0.1, 0.1, 0.2, 200),
    (0.2, 0.245, 0.255, 200),
    (0.3, 0.3, 0.302, 503),
    (0.4, 0.4, 1.4, 504),
    (0.5, 0.5, 0.51, WRONG),
    (0.6, 0.6, 0.61, LOST),
    (0.7, NEVER, NEVER, UNSENT),
    (0.8, 0.8, NEVER, UNANSWERED),
    (0.9, 0.9, 0.91, 200),
)


def test_goodput_counts_only_right_answers_in_time_and_each_other_end_has_its_own_count() -> None:
    told = figures(EACH, 2.0, SLO_S)
    assert told["goodput_per_second"] == 1.0
    assert told["share_within"] == 0.2
    assert told["answered_per_second"] == 2.0
    assert told["by_status"] == {
        "wrong answer": 1, "unsent": 1, "connection lost": 1, "unanswered": 1, "200": 4, "503": 1, "504": 1,
    }  # fmt: skip


def test_a_request_waits_from_when_it_was_due_even_if_it_left_late() -> None:
    assert EACH.took[2] == pytest.approx(0.055)
    assert not EACH.within(SLO_S)[2]


def test_refusals_have_latencies_of_their_own() -> None:
    told = figures(EACH, 2.0, SLO_S)
    assert told["refused"]["count"] == told["refused"]["with_retry_after"] == 1
    assert told["refused"]["p99_ms"] == pytest.approx(2)
    assert told["right"]["max_ms"] == pytest.approx(100)


def test_a_phase_has_what_was_due_in_it_whenever_it_ended() -> None:
    assert EACH.between(0.1, 0.5).status.tolist() == [200, 200, 503, 504]


def test_percentiles_are_times_that_were_measured() -> None:
    told = milliseconds(np.arange(1, 101)[::-1] / 1e3)
    assert list(told.values()) == [50, 90, 99, 100]
    assert milliseconds(np.array([0.003])) == {"p50_ms": 3, "p90_ms": 3, "p99_ms": 3, "max_ms": 3}
    assert set(milliseconds(np.zeros(0)).values()) == {None}


def after_the_fall(bad_until: float, *, stray: bool = False) -> Outcomes:
    """Load that falls at 10 s; requests each 10 ms for 10 s, the first of them late."""
    due = 10 + np.arange(1_000) / 100
    late = due < 10 + bad_until
    late[-1] = stray
    ended = due + np.where(late, 1.0, 0.001)
    flags = np.zeros(len(due), np.bool_)
    return Outcomes(
        due, due, ended, np.full(len(due), 200, np.int16), flags, flags.astype(np.int16), flags.astype(np.int8)
    )


def test_recovery_is_when_nearly_all_that_follows_is_in_time() -> None:
    recovered = recovery_s(after_the_fall(3.0), 10, SLO_S)
    # Of the 700 that follow 1 % may be late: seven of the 300 that were.
    assert recovered == pytest.approx(2.93, abs=0.011)


def test_a_stray_late_answer_does_not_undo_a_recovery() -> None:
    assert recovery_s(after_the_fall(0.0, stray=True), 10, SLO_S) == 0


def test_a_server_that_never_recovers_or_is_not_asked_has_no_recovery() -> None:
    assert recovery_s(after_the_fall(10.0, stray=True), 10, SLO_S) is None
    assert recovery_s(after_the_fall(0.0), 30, SLO_S) is None
