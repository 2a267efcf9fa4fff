"""Changed requests by the thousand: every one is answered and none by a 5xx, good ones are right, memory stays."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from itertools import cycle, islice

import psutil
import pytest

from tests.e2e.bad_bodies import BODIES
from tests.e2e.bad_heads import HEADS
from tests.e2e.bad_request import GOOD, GOOD_ANSWER, Bad
from tests.e2e.doubling import LONG
from tests.e2e.fuzzing import GrpcMessages, HttpBodies, Tally, repeat
from tests.e2e.parts import WORKER, parts
from tests.e2e.sluice_up import SluiceUp

log = logging.getLogger(__name__)

FOR_S = 600.0 if LONG else 8.0
FEWEST = 20_000 if LONG else 500
# Caches, pools and the runtime's arenas have their size after so many.
WARM = 5_000
MALFORMED = 10_000
LONGEST = 5_000
GROWTH = 1.05

Sender = Callable[[SluiceUp, int], HttpBodies | GrpcMessages]


def http(session: SluiceUp, number: int) -> HttpBodies:
    """Changed bodies for the session's HTTP port."""
    return HttpBodies(session.port, number)


def grpc(session: SluiceUp, number: int) -> GrpcMessages:
    """Changed messages for the session's gRPC port."""
    return GrpcMessages(int(str(session.registered()["grpc_port"])), number)


@pytest.mark.timeout(FOR_S + 60)
@pytest.mark.parametrize("sender", [http, grpc])
def test_changed_requests_are_answered_and_none_by_a_5xx(in_process: SluiceUp, sender: Sender) -> None:
    workers = parts(in_process, WORKER)
    _run(in_process, sender, 1, for_s=FOR_S / 10, most=WARM)
    before = _memory(workers)
    tally = _run(in_process, sender, 2, for_s=FOR_S, most=1 << 40)
    log.info("%s: %s; %.1f MB, then %.1f MB", sender.__name__, tally, before / 1e6, _memory(workers) / 1e6)
    assert tally.wrong == []
    assert tally.sent > FEWEST
    assert len(tally.statuses) > 1
    assert parts(in_process, WORKER) == workers
    if LONG:
        assert _memory(workers) < before * GROWTH


def test_ten_thousand_malformed_requests_leave_the_workers_memory_as_it_was(in_process: SluiceUp) -> None:
    workers = parts(in_process, WORKER)
    small = [bad for bad in (*BODIES, *HEADS) if len(bad.sent) < LONGEST]
    assert len(small) > 100
    _refuse(in_process, small, WARM)
    before = _memory(workers)
    _refuse(in_process, small, MALFORMED)
    assert parts(in_process, WORKER) == workers
    assert _memory(workers) < before * GROWTH


def _refuse(session: SluiceUp, bad: list[Bad], count: int) -> None:
    """Send so many, on a new connection where the last one was closed, each tenth followed by a good one."""
    connection = session.connect()
    for number, one in enumerate(islice(cycle(bad), count)):
        connection.send(one.sent)
        assert connection.read().status == one.status, one
        if one.closes:
            connection.close()
            connection = session.connect()
        if number % 10 == 0:
            connection.send(GOOD)
            assert connection.read().json()["outputs"][0]["data"] == GOOD_ANSWER
    connection.close()


def _run(session: SluiceUp, sender: Sender, number: int, *, for_s: float, most: int) -> Tally:
    with closing(sender(session, number)) as one:
        return repeat(one.send, one.good, for_s=for_s, most=most)


def _memory(processes: list[psutil.Process]) -> int:
    return sum(one.memory_info().rss for one in processes)
