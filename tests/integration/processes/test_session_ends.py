"""However a session ends, nothing of it is left: no process, no socket, no directory."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes.live_session import PATIENCE_S, LiveSession, live_session, until
from tests.integration.standstill import stop


def guardians(session: LiveSession) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"serving.processes.guardian" in words and session.about["session"].encode() in words:
            found.add(int(path.parent.name))
    return found


@contextlib.contextmanager
def in_flight(session: LiveSession, path: str) -> Iterator[http.client.HTTPConnection]:
    """A request that the only worker has taken: it takes one after the other, and has answered a later one."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", session.about["http_port"])) as asked:
        asked.request("GET", path)
        session.get()
        yield asked


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_session_that_is_asked_to_end_leaves_nothing(temp: Path, which: signal.Signals) -> None:
    with live_session(temp, workers=2) as session:
        session.running()
        session.get("/spawn")
        session.process.send_signal(which)
        assert session.process.wait(20) == 0
        assert session.remains() == []
        session.heard("stopped", "session")
        assert session.events[-1]["kind"] == "stopped"


def test_a_request_in_flight_is_answered_before_the_session_ends(temp: Path) -> None:
    with live_session(temp) as session:
        session.running()
        with in_flight(session, "/slow=1") as asked:
            session.process.send_signal(signal.SIGTERM)
            assert asked.getresponse().read() == b"slow"
        assert session.process.wait(20) == 0


def test_a_second_signal_does_not_wait_for_requests_in_flight(temp: Path) -> None:
    with live_session(temp, grace_s=60) as session:
        session.running()
        with in_flight(session, "/slow=60"):
            session.process.send_signal(signal.SIGINT)
            session.heard("stopping")
            session.process.send_signal(signal.SIGINT)
            assert session.process.wait(PATIENCE_S) == 0
        assert session.remains() == []


def test_a_killed_supervisor_takes_everything_with_it(temp: Path) -> None:
    with live_session(temp, workers=2) as session:
        session.running()
        session.get("/spawn")
        assert len(session.left()) == 3
        session.process.kill()
        assert session.gone_within(), session.remains()


def test_a_killed_guardian_is_replaced_and_the_new_one_does_its_work(temp: Path) -> None:
    with live_session(temp) as session:
        session.running()
        session.get("/spawn")
        (guardian,) = guardians(session)
        os.kill(guardian, signal.SIGKILL)
        session.heard("restarted", "guardian")
        session.process.kill()
        assert session.gone_within(), session.remains()
        assert until(lambda: not guardians(session), PATIENCE_S)


def test_the_next_session_sweeps_what_a_supervisor_and_its_guardian_left_when_both_were_killed(temp: Path) -> None:
    with live_session(temp) as first:
        first.running()
        first.get("/spawn")
        (guardian,) = guardians(first)
        # Stopped first, so that it can neither replace the guardian nor be followed by it.
        stop(first.process.pid)
        os.kill(guardian, signal.SIGKILL)
        first.process.kill()
        assert first.left()
        with live_session(temp) as second:
            second.running()
            assert first.about["run_dir"] in second.heard("swept")["part"]
            assert first.left() == set()


def test_a_session_is_found_by_its_port_while_it_runs(temp: Path) -> None:
    with live_session(temp) as session:
        about = session.running()
        path = temp / f"sluice-{os.getuid()}" / f"{about['http_port']}.json"
        assert about["session"] in path.read_text()
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert Path(about["run_dir"]).stat().st_mode & 0o777 == 0o700
