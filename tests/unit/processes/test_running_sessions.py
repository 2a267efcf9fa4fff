"""Sessions are found by their port, and nobody else's file is believed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from serving.processes import running_sessions
from serving.processes.running_sessions import RunningSession
from serving.processes.session_members import started_at

ME = os.getpid()


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunningSession:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return RunningSession("s1", ME, started_at(ME), "/r", "ray", "127.0.0.1", 8080, "127.0.0.1", 8082)


def test_a_running_session_is_found_by_its_port(session: RunningSession) -> None:
    running_sessions.write(session)
    assert running_sessions.find(8080) == session
    assert running_sessions.find(8081) is None


def test_a_session_whose_supervisor_is_gone_is_not_found_even_if_its_number_is_used_again(
    session: RunningSession,
) -> None:
    running_sessions.write(replace(session, started="1"))
    assert running_sessions.sessions() == []


def test_the_last_session_takes_the_directory_with_it(session: RunningSession, tmp_path: Path) -> None:
    running_sessions.write(session)
    running_sessions.write(replace(session, session="s2", http_port=9))
    (tmp_path / "sluice" / "8080.s1").write_text("half")
    running_sessions.forget("s1")
    assert [one.session for one in running_sessions.sessions()] == ["s2"]
    running_sessions.forget("s2")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_no_session(session: RunningSession, tmp_path: Path) -> None:
    running_sessions.write(session)
    (tmp_path / "sluice" / "1.json").write_text("{")
    (tmp_path / "sluice" / "2.json").write_text("[]")
    assert running_sessions.sessions() == [session]


def test_only_its_owner_and_this_user_can_enter_the_directory(session: RunningSession) -> None:
    assert running_sessions.write(session).parent.stat().st_mode & 0o777 == 0o700
