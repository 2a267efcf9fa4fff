"""What people read of a model's batches."""

from __future__ import annotations

from typing import Any

import pytest

from serving.cli.batching import COLUMNS, batching_of, rows, sentences
from serving.cli.failure import CommandFailed
from serving.control.batching_answer import Batching
from serving.processes import running_sessions
from serving.processes.running_sessions import RunningSession

ESTIMATE = {"fixed_s": 0.0004, "row_s": 0.0000125, "margin": 1.5, "runs": 1234}
WINDOW = {"most_rows": 40, "enough_rows": 12, "max_rows": 64}
STABLE: dict[str, Any] = {
    "version": 3,
    "variant": "stable",
    "pool": "default",
    "estimate": ESTIMATE,
    "drag": 1.0,
    "window": WINDOW,
    "goal_s": 0.02,
    "promised": True,
    "queue_rows": {"2": 5},
    "slots": 2,
    "servers": 1,
    "batches": 10,
    "rows_per_batch": 6.25,
    "slack": {"batches": 10, "late": 1, "half_had_s": 0.01, "most_had_s": None},
    "refused_rows": {"would_be_late": 12, "overloaded": 1},
    "workers": [],
}


def document(*versions: dict[str, Any], **refused: int) -> dict[str, Any]:
    """As the control API has it."""
    whole = {"model": "m", "loop_lag_s": 0.0, "refused_requests": refused, "versions": list(versions)}
    return Batching.model_validate(whole).model_dump()


def said(**other: Any) -> str:
    (line,) = sentences(document({**STABLE, **other}))
    return line


def test_what_a_run_takes_and_how_many_rows_meet_the_goal() -> None:
    assert said() == (
        "stable, version 3 in pool default: a batch of n rows runs 0.4 + 0.0125 * n ms, 99 of 100 of 40 rows within "
        "1.35 ms (learned from 1234 runs). Batches of up to 40 rows meet the goal of 20 ms; from 12 on more hardly "
        "help."
    )


def test_where_nothing_has_run_or_nothing_hosts_it_that_is_said() -> None:
    guessed = said(estimate={**ESTIMATE, "runs": 0})
    assert "no run was seen yet; a batch of n rows is expected to take 0.4 + 0.0125 * n ms. Batches" in guessed
    nothing = said(estimate=None, window=None, goal_s=None, promised=None, drag=None)
    assert nothing == "stable, version 3 in pool default: nothing hosts it now."


def test_a_goal_that_one_row_misses_and_a_deadline_in_place_of_a_goal_are_named() -> None:
    alone = said(goal_s=0.0005, window={"most_rows": 1, "enough_rows": 1, "max_rows": 64})
    assert alone.endswith("Even one row alone does not meet the goal of 0.5 ms.")
    everything = said(promised=False, goal_s=1.0, window={"most_rows": 64, "enough_rows": 64, "max_rows": 64})
    assert everything.endswith("Batches of up to 64 rows meet the deadline of 1000 ms, the most that may run together.")
    one = said(window={"most_rows": 1, "enough_rows": 1, "max_rows": 1}, estimate={**ESTIMATE, "runs": 1})
    assert "99 of 100 of 1 row within 0.619 ms (learned from 1 run). Batches of up to 1 row meet the goal" in one


def test_refused_requests_have_a_line_of_their_own() -> None:
    *_, last = sentences(document(STABLE, would_be_late=7, overloaded=2))
    assert last == "requests that reached no batch: overloaded 2, would_be_late 7"


def test_the_table_has_what_waits_what_ran_what_was_left_and_what_was_refused() -> None:
    (row,) = rows(document(STABLE))
    assert len(row) == len(COLUMNS)
    assert row == ("3", "stable", "5", "10", "6.2", "> 10 ms", "none", "1", "overloaded 1, would_be_late 12")
    (levels,) = rows(document({**STABLE, "queue_rows": {"1": 2, "3": 5}}))
    assert levels[2] == "7 (2 of level 1, 5 of level 3)"
    idle = {
        "batches": 0,
        "rows_per_batch": 0.0,
        "slack": {"batches": 0, "late": 0, "half_had_s": None, "most_had_s": None},
    }
    (quiet,) = rows(document({**STABLE, **idle, "refused_rows": {}, "queue_rows": {}}))
    assert quiet == ("3", "stable", "0", "0", "", "", "", "0", "")


def test_one_version_is_shown_alone() -> None:
    both = document(STABLE, {**STABLE, "version": 4})
    assert [row[0] for row in rows(both, 4)] == ["4"]
    assert [line.split(" in ")[0] for line in sentences(both, 4)] == ["stable, version 4"]


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://127.0.0.1:8080", True),
        ("localhost:8080", True),
        ("http://192.0.2.7:8080", True),
        ("http://192.0.2.8:8080", False),
        ("http://127.0.0.1:8081", False),
        ("http://127.0.0.1:8080/below", False),
        ("http://127.0.0.1", False),
    ],
)
def test_only_the_session_that_answers_at_the_address_is_asked(
    monkeypatch: pytest.MonkeyPatch, url: str, asked: bool
) -> None:
    session = RunningSession(
        "s", 1, "", "", "in-process", "192.0.2.7", 8080, "", None, control_port=9, token_file="none"
    )
    monkeypatch.setattr(running_sessions, "find", lambda port: session if port == 8080 else None)
    ports: list[int] = []

    def client(http_port: int, *_: object) -> None:
        ports.append(http_port)
        raise CommandFailed("it does not answer")

    monkeypatch.setattr("serving.cli.batching.control_client", client)
    # What fails there costs the command nothing but this part of what it shows.
    assert batching_of(url, "m", None, None) is None
    assert ports == ([8080] if asked else [])
