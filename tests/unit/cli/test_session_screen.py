"""The screen of a session tells where everything is, and later each event in a line."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from serving.cli.session_screen import SessionScreen
from serving.errors import ModelUnservable
from serving.processes.events import Event
from serving.processes.running_sessions import RunningSession
from serving.processes.session_plan import ServedModel, SessionPlan
from serving.registry.repository import Problem

PLAN = SessionPlan(models=(ServedModel("a", 1, "/m/a/1", default=False), ServedModel("a", 2, "/m/a/2")))


def running(**facts: Any) -> RunningSession:
    return replace(RunningSession("s", 1, "0", "/run", "in-process", "127.0.0.1", 4242, "127.0.0.1", 8082), **facts)


def shown(*events: Event, plan: SessionPlan = PLAN, **facts: Any) -> str:
    written = io.StringIO()
    screen = SessionScreen(Console(file=written, width=200), plan, (), lambda: 0.5)
    for event in events:
        screen.emit(event, running(**facts))
    return written.getvalue()


READY = Event("ready", "session", "ready 0.50 s after the command began", {"took_s": 0.5})


def test_the_screen_names_every_address_and_a_curl() -> None:
    text = shown(Event("starting", "gateway 0", "starting"), READY)
    for part in (
        "http://127.0.0.1:4242",
        "http://127.0.0.1:8082/metrics",
        "0.50 s after the command began",
        "answers by default",
        "curl -s",
    ):
        assert part in text
    assert "starting" not in text


def test_without_metrics_none_are_named() -> None:
    assert "/metrics" not in shown(READY, metrics_port=None)


def test_a_refused_version_is_shown_with_its_reason() -> None:
    text = shown(Event("refused", "a/2", "a/2/model.onnx: not an ONNX file; export it again"), READY)
    assert text.count("not an ONNX file; export it again") == 2
    assert "refused" in text


def test_later_events_are_one_line_each() -> None:
    text = shown(READY, Event("crashed", "engine", "ended: signal SIGKILL [1]"))
    assert text.splitlines()[-1].endswith("engine: ended: signal SIGKILL [1]")


def test_the_engine_is_news_once_it_has_been_started_again() -> None:
    started = Event("started", "engine", "the engine is ready")
    assert "the engine is ready" not in shown(READY, started)
    assert shown(READY, started, started).count("the engine is ready") == 1


def test_an_address_that_listens_on_all_is_shown_as_one_that_can_be_reached() -> None:
    assert "http://127.0.0.1:4242" in shown(READY, http_host="0.0.0.0")
    assert "http://[::1]:4242" in shown(READY, http_host="::1")


def test_for_machines_each_event_is_a_line_and_the_first_prediction_tells_the_ports() -> None:
    crashed = Event("crashed", "gateway 0", "it ended:\n    [bold]last words[/bold] at tcp:100:key:", {"code": 1})
    text = shown(crashed, READY, READY, plan=replace(PLAN, config={"logs": {"format": "json"}}))
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines] == ["crashed", "ready", "ready"]
    assert (lines[0]["part"], lines[0]["text"], lines[0]["code"]) == ("gateway 0", crashed.text, 1)
    assert [line.get("http_port") for line in lines] == [None, 4242, None]


def test_for_machines_events_have_levels_and_what_was_refused_at_first_is_one() -> None:
    written = io.StringIO()
    plan = replace(PLAN, config={"logs": {"format": "json"}})
    problem = Problem("a", 3, Path("/m/a/3"), ModelUnservable("not an ONNX file"))
    screen = SessionScreen(Console(file=written, width=200), plan, (problem,), lambda: 0.5)
    for event in (Event("starting", "gateway 0", "starting"), Event("restarting", "gateway 0", "again"), READY):
        screen.emit(event, running())
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("refused", "error"),
        ("starting", "info"),
        ("restarting", "warning"),
        ("ready", "info"),
    ]
    assert (lines[0]["part"], lines[0]["text"]) == ("a/3", "not an ONNX file")
