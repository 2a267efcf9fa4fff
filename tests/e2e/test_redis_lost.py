"""Predictions do not need the control state: it is killed, stopped and restarted empty under load."""

from __future__ import annotations

import contextlib
import signal
import time

import pytest
import redis

from serving.testing.load_client import Load, RunningLoad, running
from tests.e2e.doubling import LONG, patiently
from tests.e2e.parts import CONTROL, WORKER, parts, until
from tests.e2e.sluice_up import SluiceUp
from tests.integration.standstill import stop

# Longer than a lease (6 s), so that all of them run out meanwhile.
AWAY_S = 20.0 if LONG else 8.0
MEMBERS = "sluice:pool:default"
TABLE = "sluice:table"


@pytest.fixture
def session(one_replica: SluiceUp) -> SluiceUp:
    return one_replica


@pytest.mark.timeout(180)
def test_a_stopped_control_state_changes_no_prediction_and_a_restarted_worker_serves_the_last_table(
    session: SluiceUp,
) -> None:
    (server,) = parts(session, CONTROL)
    with _loaded(session) as load:
        stop(server.pid)
        try:
            _under_way(load, AWAY_S)
            assert _ready(session)
            lost_at = _worker_restarted(session)
            _under_way(load, 2)
            assert _ready(session)
        finally:
            server.resume()
        _under_way(load, 2)
        until(lambda: _registered(session), "the replica renews its lease")
        _all_good(load, lost_at)


@pytest.mark.timeout(180)
def test_a_control_state_that_is_killed_and_comes_back_empty_changes_no_prediction(session: SluiceUp) -> None:
    (server,) = parts(session, CONTROL)
    with _loaded(session) as load:
        # Its files go with it, so that the next one knows nothing.
        stop(server.pid)
        for file in (session.run_dir / "valkey-control").rglob("*"):
            if file.is_file():
                file.unlink()
        server.send_signal(signal.SIGKILL)
        lost_at = _worker_restarted(session)
        until(lambda: _registered(session), "the replica registers again")
        until(lambda: _table(session), "the table is published again")
        # So often that whoever looks finds nothing most of the time.
        for _ in range(30):
            _emptied(session)
            time.sleep(0.1)
        until(lambda: _registered(session), "the replica registers again")
        until(lambda: _table(session), "the table is published again")
        _under_way(load, 2)
        _all_good(load, lost_at)


@pytest.mark.timeout(180)
def test_a_control_state_that_dies_again_and_again_changes_no_prediction(session: SluiceUp) -> None:
    with _loaded(session) as load:
        for _ in range(3):
            until(lambda: parts(session, CONTROL), "the server is started again")
            for server in parts(session, CONTROL):
                server.send_signal(signal.SIGKILL)
            _under_way(load, AWAY_S / 8)
        until(lambda: _registered(session), "the replica registers again")
        report = load.stop()
    assert report.failures == [], report


def _loaded(session: SluiceUp) -> contextlib.AbstractContextManager[RunningLoad]:
    return running(Load(session.port, patiently, most=100_000, for_s=120, rate=100, callers=16))


def _under_way(load: RunningLoad, for_s: float) -> None:
    now = time.monotonic()
    until(lambda: load.report.good_since(now + for_s), "predictions go on")


def _worker_restarted(session: SluiceUp) -> float:
    """Kill it; when it had ended."""
    (worker,) = parts(session, WORKER)
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    lost_at = time.monotonic()
    until(lambda: parts(session, WORKER), "the worker is started again")
    return lost_at


def _all_good(load: RunningLoad, worker_lost_at: float) -> None:
    """But for connections that the killed worker held."""
    report = load.stop()
    rest = [one for one in report.failures if one.status is not None or (one.connected_at or 0) > worker_lost_at]
    assert rest == [], report
    assert report.good_since(worker_lost_at + 2)


def _control(session: SluiceUp) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(session.run_dir / CONTROL), socket_timeout=2)


def _ready(session: SluiceUp) -> bool:
    """All gateways lose it together: what took one out of service for that would take them all."""
    with session.connect() as connection:
        return connection.get("/v2/health/ready").status == 200


def _registered(session: SluiceUp) -> bool:
    """It has a member, whose lease has not run out."""
    with contextlib.suppress(redis.RedisError), _control(session) as control:
        return bool(control.hlen(MEMBERS)) and bool(list(control.scan_iter("sluice:lease:*")))
    return False


def _emptied(session: SluiceUp) -> None:
    with _control(session) as control:
        control.flushall()


def _table(session: SluiceUp) -> bool:
    with contextlib.suppress(redis.RedisError), _control(session) as control:
        return control.get(TABLE) is not None
    return False
