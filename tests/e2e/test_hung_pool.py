"""A pool that stands still: its callers are answered in time, and what they gave up on never runs."""

from __future__ import annotations

import contextlib
import json
import platform
import socket
import struct
import time
from collections.abc import Iterable, Iterator

import pytest

from serving.backends.pool_options import PoolOptions
from serving.testing.load_client import Load, Report, running
from serving.testing.models import CRASH
from tests.e2e.callers import at_once
from tests.e2e.doubling import PATH, dividing, doubling
from tests.e2e.http_client import Connection, request_bytes
from tests.e2e.parts import REPLICA, parts, until
from tests.e2e.scrape import told as scraped
from tests.e2e.sluice_up import SluiceUp
from tests.integration.standstill import stop

DIVIDES = "/v2/models/divides/infer"
# As long as the gateway waits for a silent replica before it counts as lost; then callers are told so at once.
SILENCE_S = PoolOptions().silence_s
DEADLINE_S = 0.4
IN_TIME = {"x-request-timeout-ms": f"{DEADLINE_S * 1000:g}"}


@pytest.fixture
def session(one_replica: SluiceUp) -> SluiceUp:
    return one_replica


@contextlib.contextmanager
def standing_still(session: SluiceUp) -> Iterator[None]:
    """The pool's only replica is stopped and goes on afterwards."""
    (replica,) = parts(session, REPLICA)
    stop(replica.pid)
    try:
        yield
    finally:
        replica.resume()
    assert [one.pid for one in parts(session, REPLICA)] == [replica.pid]


@pytest.mark.parametrize("callers", [1, 32])
def test_requests_are_answered_504_when_their_time_is_up(session: SluiceUp, callers: int) -> None:
    _until_good(session)
    with standing_still(session):
        told = at_once(session, callers, _ask)
    _let_in(status for status, _ in told)
    # Not a measurement: one that hangs is not answered before the pool is lost.
    assert [took for _, took in told if took >= max(2 * DEADLINE_S, SILENCE_S)] == []
    assert [took for status, took in told if status == 504 and took < DEADLINE_S * 0.9] == []
    _until_good(session)


def test_a_load_without_an_end_hangs_nobody_and_is_answered_again_afterwards(session: SluiceUp) -> None:
    _until_good(session)
    load = Load(session.port, lambda n: doubling(n, "x-request-timeout-ms: 400\r\n"), most=20_000, for_s=60, rate=100)
    with running(load) as one:
        until(lambda: len(one.report.good) > 20, "the load is under way")
        with standing_still(session):
            time.sleep(2 * SILENCE_S)
        resumed_at = time.monotonic()
        until(lambda: one.report.good_since(resumed_at), "requests are answered again")
        until(lambda: _nothing_fails(one.report, 1.0), "and none is refused or late any more")
        report = one.stop()
    assert report.hangs() == []
    assert report.by_status().keys() == {"503", "504"}, report
    assert max(failure.ended_at - failure.asked_at for failure in report.failures) < SILENCE_S, report


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors answer this quotient")
@pytest.mark.parametrize("still_s", [0.0, 2 * SILENCE_S], ids=["resumed at once", "resumed when it counts as lost"])
def test_rows_that_nobody_waits_for_do_not_run(session: SluiceUp, still_s: float) -> None:
    """Each of these rows would end the replica if it ran."""
    _until_all_are_let_in(session, 16)
    with standing_still(session):
        told = at_once(session, 16, _ask_deadly)
        _a_turn_later(session)
        time.sleep(still_s)
    # Who is refused has no row that could run.
    _let_in(told)
    before = parts(session, REPLICA)[0].pid
    _until_good(session)
    assert [one.pid for one in parts(session, REPLICA)] == [before]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors answer this quotient")
def test_rows_of_callers_who_left_do_not_run(session: SluiceUp) -> None:
    _until_good(session)
    body = json.dumps(dividing(*CRASH)).encode()
    with standing_still(session):
        for _ in range(4):
            with socket.create_connection(("127.0.0.1", session.port)) as connection:
                # Closing resets it: without that, it is a caller who still reads.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(request_bytes("POST", DIVIDES, body))
                # Long enough to be on its way to the replica.
                time.sleep(0.1)
        # It has seen them leave, and a second later told so.
        scraped(session)
    before = parts(session, REPLICA)[0].pid
    _until_good(session)
    assert [one.pid for one in parts(session, REPLICA)] == [before]


def _ask(number: int, connection: Connection) -> tuple[int, float]:
    began = time.monotonic()
    reply = connection.request("POST", PATH, doubling(number).body, IN_TIME)
    return reply.status, time.monotonic() - began


def _ask_harmless(number: int, connection: Connection) -> int:
    return connection.post(DIVIDES, dividing(12, 4), IN_TIME).status


def _ask_deadly(number: int, connection: Connection) -> int:
    return connection.post(DIVIDES, dividing(*CRASH), IN_TIME).status


def _until_good(session: SluiceUp) -> None:
    """Answers are right again, for both models."""

    def good() -> bool:
        with session.connect() as connection:
            question = doubling(7)
            reply = connection.request("POST", question.path, question.body)
            divided = connection.post(DIVIDES, dividing(12, 4))
        if reply.status != 200 or divided.status != 200:
            return False
        return question.right(reply.body) and divided.json()["outputs"][0]["data"] == [3]

    until(good, "answers are right again")


def _until_all_are_let_in(session: SluiceUp, callers: int) -> None:
    """Nobody is refused for how long others waited while the replica stood still before."""
    until(lambda: at_once(session, callers, _ask_harmless) == [200] * callers, "so many callers are let in at once")


def _a_turn_later(session: SluiceUp) -> None:
    """What the worker gave up on when it answered 504 has been called back: it does so in the next turn of its loop."""
    with session.connect() as connection:
        assert connection.get("/v2/health/live").status == 200


def _let_in(statuses: Iterable[int]) -> None:
    """They ran out of time, most of them; on a busy machine what came before may have taught that some must wait."""
    told = list(statuses)
    assert set(told) <= {503, 504}
    assert 2 * told.count(504) > len(told)


def _nothing_fails(report: Report, for_s: float) -> bool:
    """There are answers, and no failures, of the last seconds: what was learned of the standstill is forgotten."""
    since = time.monotonic() - for_s
    return report.good_since(since) is not None and not [one for one in report.failures if one.ended_at > since]
