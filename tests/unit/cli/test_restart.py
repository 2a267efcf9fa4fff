"""A restart is told while it lasts, where somebody watches."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace

import pytest

from serving.cli import restart as restarting
from serving.cli.failure import CommandFailed
from serving.processes import running_sessions
from serving.processes.running_sessions import RunningSession

RUNNING = RunningSession("s", 7, "then", "/r", "in-process", "127.0.0.1", 8080, "127.0.0.1", None)


class Terminal(io.StringIO):
    """Keeps what a person would see."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> list[RunningSession]:
    """What is found, one after another; the last stays."""
    found = [RUNNING]
    monkeypatch.setattr(running_sessions, "find", lambda _: found.pop(0) if len(found) > 1 else found[0])
    monkeypatch.setattr(os, "kill", lambda *_: None)
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setenv("TERM", "xterm")
    return found


@pytest.mark.parametrize("watched", [True, False])
def test_who_watches_sees_that_workers_are_being_replaced(
    session: list[RunningSession], watched: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = Terminal() if watched else io.StringIO()
    monkeypatch.setattr(sys, "stderr", error)
    session += [RUNNING, replace(RUNNING, answered=1)]
    restarting.restart()
    assert ("replacing the workers of port 8080" in error.getvalue()) == watched
    assert watched or not error.getvalue()
    assert capsys.readouterr().out.startswith("replaced the workers of port 8080 in ")


def test_a_session_that_ends_meanwhile_or_takes_too_long_is_told(session: list[RunningSession]) -> None:
    with pytest.raises(CommandFailed, match="were not replaced within 0 s; it may still be under way"):
        restarting.restart(timeout_s=0)
    session += [replace(RUNNING, session="another")]
    with pytest.raises(CommandFailed, match="ended before its workers were replaced"):
        restarting.restart()


def test_a_configuration_that_is_not_followed_is_told(session: list[RunningSession]) -> None:
    why = "http.port: a running session cannot change that"
    session += [RUNNING, replace(RUNNING, answered=1, refused=1, refusal=why)]
    with pytest.raises(CommandFailed, match=r"^nothing was changed: http\.port: a running"):
        restarting.restart()


def test_the_end_of_one_that_was_asked_for_before_is_not_taken_for_its_own(session: list[RunningSession]) -> None:
    session[0] = replace(RUNNING, asked=1)
    earlier = replace(RUNNING, asked=2, answered=1, generation=2, refused=1, refusal="of the one before")
    session += [earlier, replace(earlier, answered=2, refused=2, refusal="its own")]
    with pytest.raises(CommandFailed, match="its own"):
        restarting.restart()
