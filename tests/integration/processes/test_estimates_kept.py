"""Workers and sessions begin with what earlier ones learned."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.integration.processes.live_session import LiveSession, live_session, until

LEARNED = ["default", "m", 1, "5-1", 0.25, 0.125, 1.5]


def began_with(session: LiveSession) -> list[list[object]]:
    """What the worker that answers was told at its start, without the runs, which are the generation here."""
    told = json.loads(str(session.get("/estimates")["text"]))
    return [entry[:-1] for entry in told]


def test_a_worker_that_is_started_again_begins_with_what_was_learned(temp: Path) -> None:
    with live_session(temp) as session:
        session.running()
        assert began_with(session) == []
        session.provoke("/crash")
        session.heard("restarted", "gateway 0")
        assert began_with(session) == [LEARNED]


def test_a_rolled_worker_begins_with_what_was_learned(temp: Path) -> None:
    with live_session(temp) as session:
        session.running()
        os.kill(session.process.pid, signal.SIGHUP)
        session.heard("rolled")
        assert began_with(session) == [LEARNED]


def test_a_session_that_is_started_again_begins_with_what_was_learned(temp: Path, tmp_path: Path) -> None:
    with live_session(temp, state_dir=str(tmp_path)) as session:
        session.running()
        session.process.terminate()
        session.heard("stopped")
    with live_session(temp, state_dir=str(tmp_path)) as session:
        session.running()
        assert began_with(session) == [LEARNED]


def test_a_file_that_is_none_is_told_and_the_session_serves(temp: Path, tmp_path: Path) -> None:
    (tmp_path / "estimates.json").write_bytes(b"half a li")
    with live_session(temp, state_dir=str(tmp_path)) as session:
        session.running()
        assert "learned anew" in session.heard("trouble", "estimates")["text"]
        assert began_with(session) == []
        session.process.terminate()
        session.heard("stopped")
    assert until(lambda: (tmp_path / "estimates.json").read_bytes().startswith(b"{"), 1)
