"""Workers that crash, stall, fail to start or are replaced, seen from the outside."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
from collections import Counter
from pathlib import Path

from tests.integration.processes.live_session import PATIENCE_S, LiveSession, live_session, until
from tests.integration.standstill import stop


def pids(session: LiveSession, requests: int = 40) -> Counter[int]:
    """Which worker answered how many requests, each over a fresh connection."""
    return Counter(session.get()["pid"] for _ in range(requests))


def test_two_workers_share_one_port(temp: Path) -> None:
    with live_session(temp, workers=2) as session:
        session.running()
        assert until(lambda: len(pids(session)) == 2, PATIENCE_S)


def test_a_dead_workers_listener_is_served_by_another_one(temp: Path) -> None:
    with live_session(temp, workers=2, config={"fail_later": True}) as session:
        session.running()
        assert until(lambda: len(pids(session)) == 2, PATIENCE_S)
        dead, _ = pids(session)
        os.kill(dead, signal.SIGKILL)
        session.heard("adopted")
        # Its successors fail at start, so only the other one can answer; the kernel still spreads over both listeners.
        assert len(pids(session, 100)) == 1


def test_a_single_worker_that_crashes_is_back_at_once_and_connections_made_meanwhile_are_answered(temp: Path) -> None:
    with live_session(temp) as session:
        session.running()
        before = session.get()["pid"]
        session.provoke("/crash")
        assert session.get()["pid"] != before
        assert "SIGKILL" in session.heard("crashed", "gateway 0")["text"]
        session.heard("restarted", "gateway 0")
        assert not any(event["kind"] == "restarting" for event in session.events)


def test_a_worker_that_fails_at_every_start_is_started_again_with_growing_delays(temp: Path) -> None:
    with live_session(temp, config={"fail_later": True}) as session:
        session.running()
        session.provoke("/crash")
        assert [session.heard("restarting")["facts"]["wait_s"] for _ in range(3)] == [0.5, 1.0, 2.0]


def test_a_worker_that_stalls_loses_its_listener_and_gets_it_back(temp: Path) -> None:
    with live_session(temp, workers=2) as session:
        session.running()
        assert until(lambda: len(pids(session)) == 2, PATIENCE_S)
        stalled, _ = pids(session)
        stop(stalled)
        session.heard("adopted")
        os.kill(stalled, signal.SIGCONT)
        assert until(lambda: stalled in pids(session), PATIENCE_S)


def test_a_rolling_restart_under_load_fails_no_request_and_replaces_every_worker(temp: Path) -> None:
    with live_session(temp, workers=2) as session:
        session.running()
        before = set(pids(session))
        over, failures, answered = threading.Event(), [], Counter[int]()
        port = session.about["http_port"]

        def call(*, keep: bool, idle_s: float) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            while not over.wait(idle_s):
                try:
                    connection.request("GET", "/x")
                    answer = connection.getresponse()
                    answer.read()
                    answered[answer.status] += 1
                    if not keep:
                        connection.close()
                except (OSError, http.client.HTTPException) as error:
                    failures.append(repr(error))
            connection.close()

        shapes = [(True, 0.002), (True, 0.002), (False, 0.004), (False, 0.004), (True, 0.4)]
        threads = [threading.Thread(target=call, kwargs={"keep": k, "idle_s": s}) for k, s in shapes]
        for thread in threads:
            thread.start()
        session.process.send_signal(signal.SIGHUP)
        session.heard("rolled")
        over.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert answered[200] > 100
        assert not before & set(pids(session))


def test_a_rolling_restart_whose_successor_fails_keeps_the_old_worker(temp: Path) -> None:
    with live_session(temp, config={"fail_later": True}) as session:
        session.running()
        before = session.get()["pid"]
        session.process.send_signal(signal.SIGHUP)
        session.heard("roll_failed")
        assert session.get()["pid"] == before


def test_others_see_when_a_rolling_restart_is_done(temp: Path) -> None:
    with live_session(temp) as session:
        about = session.running()
        path = temp / f"sluice-{os.getuid()}" / f"{about['http_port']}.json"
        session.process.send_signal(signal.SIGHUP)
        session.heard("rolled")
        assert until(lambda: '"generation": 2' in path.read_text(), PATIENCE_S)


def test_a_version_that_cannot_be_served_is_reported_once_and_the_others_are_served(temp: Path) -> None:
    with live_session(temp, workers=2) as session:
        session.running()
        refusals = [event["text"] for event in session.events if event["kind"] == "refused"]
        assert refusals == ["bad/1/model.onnx is truncated"]
        assert session.get()["pid"]


def test_a_port_in_use_is_named_with_the_option_that_changes_it(temp: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with live_session(temp, http_port=port) as session:
            assert session.heard("invalid")["text"] == (
                f"port {port} on 127.0.0.1 is in use by another program; choose another one with --http-port"
            )
            assert session.process.wait(PATIENCE_S) == 2
        with live_session(temp, metrics_port=port) as session:
            assert "--metrics-port" in session.heard("invalid")["text"]
        assert [path.name for path in temp.iterdir()] == ["stderr"]


def test_two_sessions_do_not_share_a_port(temp: Path) -> None:
    with live_session(temp) as first:
        port = first.running()["http_port"]
        with live_session(temp, http_port=port) as second:
            assert "in use" in second.heard("invalid")["text"]
        assert first.get()["pid"]


def counted(page: str, name: str) -> float:
    """The sum over a metric's series."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith((name + "{", name + " ")))


def test_one_scrape_covers_all_workers_and_counts_survive_their_ends(temp: Path) -> None:
    with live_session(temp, workers=2, metrics_port=0) as session:
        session.running()
        asked = 1 + sum(pids(session).values())
        assert until(lambda: counted(session.metrics(), "sluice_requests_total") == asked, PATIENCE_S)
        assert counted(session.metrics(), "sluice_workers") == 2
        session.process.send_signal(signal.SIGHUP)
        session.heard("rolled")
        # A worker that was replaced has told its last counts before it ended.
        assert counted(session.metrics(), "sluice_requests_total") == asked
        assert counted(session.metrics(), "sluice_restarts_total") == 2
        session.provoke("/crash")
        session.heard("restarted", "gateway")
        assert counted(session.metrics(), "sluice_requests_total") >= asked
        assert until(lambda: counted(session.metrics(), "sluice_restarts_total") == 3, PATIENCE_S)


def test_what_one_worker_condemns_all_others_and_their_successors_refuse(temp: Path) -> None:
    with live_session(temp, workers=2) as session:
        session.running()
        session.get("/poison")
        heard = Counter[str]()

        def ask() -> bool:
            heard[session.get("/condemned")["text"]] += 1
            return heard["0badf00d"] > 0 and heard[""] > 0

        # The one that found it is not told what it knows.
        assert until(ask, PATIENCE_S)
        session.process.send_signal(signal.SIGHUP)
        session.heard("rolled")
        assert until(lambda: session.get("/condemned")["text"] == "0badf00d", PATIENCE_S)
        assert {session.get("/condemned")["text"] for _ in range(20)} == {"0badf00d"}
