"""Who waits for a rollout waits on while its session is away for a moment, and no longer."""

from __future__ import annotations

import io
import json
import sys
import time
from typing import Any

import pytest

from serving.cli import rollout_watch
from serving.cli.control_client import ControlClient
from serving.cli.failure import CommandFailed, not_reachable
from tests.unit.cli.rollout_seen import SEEN

AWAY = "it does not answer"
STEP: dict[str, Any] = {**SEEN, "phase": "step", "weight_percent": 10.0, "said": "too early"}
PROMOTED: dict[str, Any] = {**SEEN, "phase": "promoted", "over": True, "weight_percent": 100.0}
CLIENT = ControlClient("http://here", "a token")


class Terminal(io.StringIO):
    """Keeps what a person would see."""

    def isatty(self) -> bool:
        return True


class Session:
    """Answers one look after another, the last again and again; None: it is away. A look takes no time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        self.answers: list[dict[str, Any] | None] = [STEP]
        monkeypatch.setattr(ControlClient, "get", lambda _, path: self._get(path))
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(time, "sleep", self._sleep)

    def _get(self, path: str) -> dict[str, Any]:
        assert path == "/rollouts/m-2"
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if found is None:
            raise not_reachable(AWAY)
        return found

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    return Session(monkeypatch)


def test_it_waits_on_while_the_session_is_away_for_less_than_a_minute(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.answers = [STEP, *[None] * 50, STEP, *[None] * 50, PROMOTED]
    assert rollout_watch.over(CLIENT, "m-2", 1_000, silent=True) == PROMOTED
    # Once for each time that it was away.
    assert capsys.readouterr().err == f"{AWAY}; it is asked again for 60 s\n" * 2


def test_a_session_that_stays_away_is_told(session: Session) -> None:
    session.answers = [STEP, None]
    with pytest.raises(CommandFailed, match=f"^{AWAY}$"):
        rollout_watch.over(CLIENT, "m-2", 1_000, silent=True)
    assert session.now_s == 60
    session.answers = [None]
    with pytest.raises(CommandFailed, match=f"^{AWAY}$"):
        rollout_watch.over(CLIENT, "m-2", 1_000, silent=True)
    assert session.now_s == 60, "a first look that fails is told at once"


def test_its_time_runs_also_while_the_session_is_away(session: Session) -> None:
    session.answers = [STEP, None]
    with pytest.raises(CommandFailed, match=r"^m-2 is still step: it goes on$"):
        rollout_watch.over(CLIENT, "m-2", 20, silent=True)
    assert session.now_s == 20


def test_who_watches_sees_where_it_stands(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    for silent in (True, False):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        session.answers = [STEP, PROMOTED]
        rollout_watch.over(CLIENT, "m-2", 1_000, silent=silent)
        assert ("m-2: step, 10 % to the canary: too early" in terminal.getvalue()) == (not silent)


def test_each_look_is_shown_until_it_is_over(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    session.answers = [STEP, None, PROMOTED]
    rollout_watch.watch(CLIENT, "m-2", as_json=False)
    shown = capsys.readouterr().out
    assert shown.count("step for ") == 2
    assert shown.count("promoted for ") == 1
    session.answers = [PROMOTED]
    rollout_watch.watch(CLIENT, "m-2", as_json=True)
    assert json.loads(capsys.readouterr().out) == PROMOTED
