"""At what load a plan is tried, and what `sluice rollout plan` foretells of it."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from serving.cli import control_client
from serving.cli.control_client import ControlClient
from serving.cli.failure import CommandFailed
from serving.cli.main import main
from serving.cli.rollout_load import Load, load_of, measured_of, told, tried

FIRST = {"requests": 50_000, "errors": 40, "runs": 40_000, "workers": 2, "at_s": 100.0}
# A thousand a second meanwhile, of which ten run together.
LAST = {"requests": 60_000, "errors": 60, "runs": 41_000, "workers": 2, "at_s": 110.0}
CLIENT = ControlClient("http://here", "a token")


def test_runs_are_those_of_the_time_between_and_errors_are_those_of_all() -> None:
    assert load_of(FIRST, LAST) == Load(60_000.0, 0.001, 0.1, 2)


def test_where_hardly_any_came_meanwhile_runs_of_the_whole_session_say_it() -> None:
    few = {**FIRST, "requests": 50_010, "runs": 40_010, "at_s": 110.0}
    assert load_of(FIRST, few).runs_per_request == pytest.approx(0.8, abs=0.001)


def test_what_was_not_seen_is_not_known() -> None:
    nothing = {"requests": 0, "errors": 0, "runs": 0, "workers": 0, "at_s": 5.0}
    assert load_of(nothing, {**nothing, "at_s": 15.0}) == Load(None, None, None, 1)
    before = [{name: seen[name] for name in ("requests", "errors", "at_s")} for seen in (FIRST, LAST)]
    assert load_of(*before) == Load(60_000.0, 0.001, None, None)


def test_an_option_goes_before_what_was_measured_and_what_neither_says_is_assumed() -> None:
    load = tried(Load(workers=8), Load(600.0, None, 0.25, 2))
    assert load[:4] == (600.0, 0.01, 0.25, 8)
    assert told(load) == (
        "tried at 600 requests a minute (measured), 1 % errors (assumed), 0.25 runs a request (measured), "
        "8 gateway workers (as the option says)"
    )


def test_without_a_request_it_fails_unless_the_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, FIRST, {**FIRST, "at_s": 110.0})
    assert measured_of(CLIENT, "m", 10.0, known=True) == (Load(None, 0.0008, 0.8, 2), "")
    with pytest.raises(CommandFailed, match="had no request within 10 s; name the load"):
        measured_of(CLIENT, "m", 10.0, known=False)


def test_latency_is_foretold_for_the_runs_and_workers_that_the_session_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, FIRST, LAST)
    measured = plan_of(monkeypatch, capsys, "m")
    assert (measured["runs_per_request"], measured["workers"]) == (0.1, 2)
    assert set(measured["sources"].values()) == {"measured"}
    same = plan_of(
        monkeypatch, capsys,
        "--requests-per-min 60000 --error-rate 0.001 --runs-per-request 0.1 --workers 2",
    )  # fmt: skip
    assert same["gates"] == measured["gates"]
    one = plan_of(monkeypatch, capsys, "m --workers 1")
    assert one["sources"]["workers"] == "option"
    assert latency_minutes(one) > 1.5 * latency_minutes(measured)


def test_whoever_names_all_of_the_load_asks_no_session(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(control_client, "control_client", lambda *_: pytest.fail("it was asked"))
    named = "m --requests-per-min 0.1 --error-rate 0 --runs-per-request 1 --workers 3"
    assert plan_of(monkeypatch, capsys, named)["proof_minutes"] is None


def test_each_step_says_what_it_puts_at_risk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = plan_of(monkeypatch, capsys, "--requests-per-min 1000")["steps"]
    # Of 43,200 errors that a month of 1,000 a minute may have, 50 and 5,000.
    assert [steps[place]["budget_share"] for place in (0, -1)] == pytest.approx([50 / 43_200, 5_000 / 43_200])


def answering(monkeypatch: pytest.MonkeyPatch, first: dict[str, Any], last: dict[str, Any]) -> None:
    """A session that tells these two again and again, ten seconds apart that nobody waits."""
    answers: list[dict[str, Any]] = []

    def get(_: ControlClient, path: str) -> dict[str, Any]:
        assert path == "/models/m/traffic"
        answers.extend([] if answers else [first, last])
        return answers.pop(0)

    monkeypatch.setattr(ControlClient, "get", get)
    monkeypatch.setattr(control_client, "control_client", lambda *_: CLIENT)
    monkeypatch.setattr(time, "sleep", lambda _: None)


def plan_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str) -> Any:
    monkeypatch.setattr(sys, "argv", ["sluice", "rollout", "plan", *typed.split(), "--json"])
    with pytest.raises(SystemExit) as ending:
        main()
    told = capsys.readouterr()
    assert ending.value.code in {0, None}, told.err
    return json.loads(told.out)


def latency_minutes(plan: Any) -> float:
    return max(float(gate["minutes"]) for gate in plan["gates"] if gate["gate"] == "latency")
