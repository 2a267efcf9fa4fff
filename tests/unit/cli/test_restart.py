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
    session += [RUNNING, replace(RUNNING, generation=2)]
    restarting.restart()
    assert ("replacing the workers of port 8080" in error.getvalue()) == watched
    assert watched or not error.getvalue()
    assert capsys.readouterr().out.startswith("replaced the workers of port 8080 in ")


def test_a_session_that_ends_meanwhile_or_takes_too_long_is_told(session: list[RunningSession]) -> None:
    with pytest.raises(CommandFailed, match="were not replaced within 0 s"):
        restarting.restart(timeout_s=0)
    session += [replace(RUNNING, session="another")]
    with pytest.raises(CommandFailed, match="ended before its workers were replaced"):
        restarting.restart()


def test_a_configuration_that_is_not_followed_is_told(session: list[RunningSession]) -> None:
    session += [RUNNING, replace(RUNNING, refusals=1, refusal="http.port: a running session cannot change that")]
    with pytest.raises(CommandFailed, match=r"^nothing was changed: http\.port: a running"):
        restarting.restart()
