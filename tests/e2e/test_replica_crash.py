"""Replicas and workers are killed under load: nothing hangs, no answer is wrong, and it heals by itself."""

from __future__ import annotations

import logging
import platform
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from serving.testing.load_client import Failure, Load, Report, running
from serving.testing.models import CRASH
from tests.e2e.doubling import LONG, dividing, patiently
from tests.e2e.own_session import ray_session
from tests.e2e.parts import REPLICA, WORKER, parts, until
from tests.e2e.scrape import Scrape
from tests.e2e.sluice_up import SluiceUp

log = logging.getLogger(__name__)

SECONDS = 30.0 if LONG else 6.0
LOADS = {"200 a second": 200.0, "64 at full speed": None}

each_load = pytest.mark.parametrize("rate", LOADS.values(), ids=LOADS.keys())


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SluiceUp]:
    """Two replicas, two workers."""
    with ray_session(tmp_path_factory.mktemp("two"), replicas=2, workers=2) as session:
        yield session


@pytest.fixture
def one(one_replica: SluiceUp) -> SluiceUp:
    return one_replica


@pytest.mark.timeout(180)
@each_load
def test_with_two_replicas_killed_ones_cost_no_request(two: SluiceUp, rate: float | None) -> None:
    until(lambda: _whole(two), "both replicas are up")
    with running(_load(two, rate)) as load:
        began_at = _under_way(load.report)
        _kill(parts(two, REPLICA)[0])
        worker_killed_at = _kill(parts(two, WORKER)[0])
        until(lambda: _whole(two), "the replica and the worker are replaced")
        _under_way(load.report)
        killed_at = _kill(parts(two, REPLICA)[-1])
        until(lambda: _whole(two), "the second replica is replaced")
        healed_at = time.monotonic()
        until(lambda: load.report.good_since(max(killed_at, began_at + SECONDS)), "the load goes on")
        report = load.stop()
    log.info("%s: %s; healed after %.1f s", rate, report, healed_at - killed_at)
    assert report.hangs() == []
    # Those that the killed worker held, and no others.
    assert [one for one in report.failures if not _held_by(one, worker_killed_at)] == []


@pytest.mark.timeout(180)
@each_load
def test_with_one_replica_errors_last_as_long_as_none_lives_and_each_is_a_503(
    one: SluiceUp, rate: float | None
) -> None:
    outages = []
    with running(_load(one, rate)) as load:
        began_at = _under_way(load.report)
        for _ in range(2):
            outages.append(_outage(one, load.report))
            _under_way(load.report)
        worker_killed_at = _kill(parts(one, WORKER)[0])
        back_at = _good_again(load.report, worker_killed_at)
        until(lambda: load.report.good_since(max(back_at + 1, began_at + SECONDS)), "the load goes on")
        report = load.stop()
    took = [f"{end - begin:.1f}" for begin, end in outages]
    log.info("%s: %s; replicas back after %s s", rate, report, took)
    assert report.hangs() == []
    rest = [failure for failure in report.failures if not _held_by(failure, worker_killed_at)]
    assert {failure.status for failure in rest} <= {503}
    assert [failure for failure in rest if not any(_overlaps(failure, *outage) for outage in outages)] == []


@pytest.mark.timeout(180)
@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors answer this quotient")
def test_a_request_that_crashes_replicas_fells_two_and_is_refused_while_others_are_answered(two: SluiceUp) -> None:
    until(lambda: _whole(two), "both replicas are up")
    seen = {replica.pid for replica in parts(two, REPLICA)}
    with running(_load(two, 100)) as load:
        asked_at = _under_way(load.report)
        assert _crashing(two) == 500
        # Asked again and again, of both workers, and from the moment on at which there is a replica to fell.
        while not _whole(two):
            assert _crashing(two) in (500, 503)
            seen |= {replica.pid for replica in parts(two, REPLICA)}
            assert time.monotonic() < asked_at + 60
        healed_at = time.monotonic()
        assert {_crashing(two) for _ in range(20)} == {500}
        until(lambda: load.report.good_since(healed_at + 1), "others are answered")
        seen |= {replica.pid for replica in parts(two, REPLICA)}
        report = load.stop()
    log.info("%s; healed after %.1f s", report, healed_at - asked_at)
    assert [failure for failure in report.failures if failure.status != 503] == []
    assert len(seen) == 4, "two were felled, and two took their place"
    assert [failure for failure in report.failures if not _overlaps(failure, asked_at, healed_at)] == []


def _crashing(session: SluiceUp) -> int:
    with session.connect() as connection:
        return connection.post("/v2/models/divides/infer", dividing(*CRASH), {"x-request-timeout-ms": "20000"}).status


def _outage(session: SluiceUp, report: Report) -> tuple[float, float]:
    """Kill the only replica; from when to when nobody could answer."""
    # It is lost before the kernel has ended all of it.
    began_at = time.monotonic()
    return began_at, _good_again(report, _kill(parts(session, REPLICA)[0]))


def _good_again(report: Report, since: float) -> float:
    until(lambda: report.good_since(since), "requests are answered again")
    return report.good_since(since) or 0.0


def _overlaps(failure: Failure, begin: float, end: float) -> bool:
    """It was on its way in that time: one asked just before the end may be told so just after it."""
    return failure.ended_at >= begin and failure.asked_at <= end


def _held_by(failure: Failure, worker_killed_at: float) -> bool:
    """Its connection was there when a worker was killed, and was lost."""
    return failure.status is None and failure.connected_at is not None and failure.connected_at <= worker_killed_at


def _kill(process: psutil.Process) -> float:
    """The moment after which it cannot have done anything."""
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    return time.monotonic()


def _load(session: SluiceUp, rate: float | None) -> Load:
    return Load(session.port, patiently, most=1_000_000, for_s=120, rate=rate)


def _under_way(report: Report) -> float:
    """Wait until it is; the moment before."""
    now = time.monotonic()
    until(lambda: report.good_since(now + SECONDS / 8), "the load is under way")
    return now


def _whole(session: SluiceUp) -> bool:
    """Two of each, and each worker is connected to both replicas: also once all that died is out of the page."""
    if not _seems_whole(session):
        return False
    # Workers tell once a second.
    time.sleep(2.5)
    return _seems_whole(session)


def _seems_whole(session: SluiceUp) -> bool:
    answering = Scrape(session).total("sluice_pool_replicas", pool="default")
    return answering == len(parts(session, REPLICA)) == len(parts(session, WORKER)) == 2
