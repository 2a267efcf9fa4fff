"""Batches that run long, beside those that do not: one replica, one gateway."""

from __future__ import annotations

import threading
import time

from serving.pool.wire_server import WireServer
from serving.wire.frame import BEGUN, CANCEL, PONG, RESULT, Frame, encode
from tests.integration.tensor_stream.doubling_host import batch, runs, sleeps, wide_batch
from tests.integration.tensor_stream.peer import Peer, Stage, failure, until

LONG_S = 0.05


def a_long_one_is_known(stage: Stage, **options: float) -> tuple[WireServer, Peer]:
    """A gateway whose batches of two rows were seen to run long, and its replica."""
    server = stage.server(long_run_s=LONG_S / 2, **options)
    peer = stage.peer(server)
    peer.send(peer.run(1, batch(sleeps(LONG_S), 0)))
    assert answers(peer, 1)[0].kind == RESULT
    return server, peer


def answers(peer: Peer, count: int) -> list[Frame]:
    """The next frames that answer a batch."""
    found: list[Frame] = []
    while len(found) < count:
        frame = peer.next()
        if frame.kind not in {BEGUN, PONG}:
            found.append(frame)
    return found


def test_a_short_batch_does_not_wait_behind_a_long_one(stage: Stage) -> None:
    _, peer = a_long_one_is_known(stage)
    peer.send(peer.run(2, batch(sleeps(4 * LONG_S), 0)), peer.run(3, batch(3)))
    assert [frame.batch_id for frame in answers(peer, 2)] == [3, 2]


def test_what_leaves_the_order_is_told_to_have_begun(stage: Stage) -> None:
    _, peer = a_long_one_is_known(stage)
    peer.send(peer.run(2, batch(sleeps(LONG_S), 0)))
    told = peer.next()
    assert (told.kind, told.batch_id) == (BEGUN, 2)


def test_long_batches_run_one_after_another_and_may_be_cancelled_and_expire_meanwhile(stage: Stage) -> None:
    _, peer = a_long_one_is_known(stage)
    # Long enough for what follows to come while it runs, and to expire.
    peer.send(peer.run(2, batch(sleeps(10 * LONG_S), 0)))
    until(lambda: len(runs(stage.journal)) == 2)
    peer.send(peer.run(3, batch(3, 3)), peer.run(4, batch(4, 4), ttl_s=LONG_S), peer.run(5, batch(5, 5)))
    peer.send(encode(CANCEL, batch_id=3))
    cancelled, first, late, last = answers(peer, 4)
    assert (cancelled.batch_id, first.batch_id, late.batch_id, last.batch_id) == (3, 2, 4, 5)
    assert failure(late).reason == "deadline_exceeded"
    assert runs(stage.journal)[2:] == ["5 5"]
    assert stage.host.most_at_once == 1


def test_long_batches_of_several_gateways_share_the_permits_of_long_ones(stage: Stage) -> None:
    server = stage.server(long_run_s=LONG_S / 2)
    peers = [stage.peer(server) for _ in range(4)]
    for peer in peers:
        peer.send(peer.run(1, batch(sleeps(LONG_S), 0)))
        assert answers(peer, 1)[0].kind == RESULT
    for peer in peers:
        peer.send(peer.run(2, batch(sleeps(LONG_S), 0)))
    assert [answers(peer, 1)[0].kind for peer in peers] == [RESULT] * 4
    assert stage.host.most_at_once == 1


def test_a_gateway_that_does_not_read_its_long_batches_answers_blocks_no_other(stage: Stage) -> None:
    server = stage.server(send_s=2.0, long_run_s=0.0)
    stuck, other = stage.peer(server), stage.peer(server)
    large = wide_batch(4_000_000)
    stuck.send(stuck.run(1, large))
    assert answers(stuck, 1)[0].kind == RESULT
    stuck.send(stuck.run(2, large))
    until(lambda: len(runs(stage.journal)) == 2)
    stuck.send(stuck.run(3, large))
    time.sleep(LONG_S)
    other.send(other.run(1, batch(3)))
    assert answers(other, 1)[0].kind == RESULT
    # It was answered before the other one was given up.
    assert server.connections == 2
    until(lambda: server.connections == 1)


def test_a_suspect_runs_alone_also_where_long_batches_run(stage: Stage) -> None:
    _, peer = a_long_one_is_known(stage)
    peer.send(peer.run(2, batch(sleeps(4 * LONG_S), 0)), peer.run(3, batch(3, alone=True)))
    assert {frame.batch_id for frame in answers(peer, 2)} == {2, 3}
    assert stage.host.most_at_once == 1


def test_a_gateway_is_told_that_its_long_batch_is_alive(stage: Stage) -> None:
    _, peer = a_long_one_is_known(stage, pulse_s=0.02)
    peer.send(peer.run(2, batch(sleeps(6 * LONG_S), 0)))
    kinds = [peer.next().kind]
    while kinds[-1] != RESULT:
        kinds.append(peer.next().kind)
    assert kinds.count(PONG) >= 2


def test_the_thread_of_long_batches_ends_with_its_gateway(stage: Stage) -> None:
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.endswith("long runs")]

    _, peer = a_long_one_is_known(stage)
    peer.send(peer.run(2, batch(sleeps(10 * LONG_S), 0)), peer.run(3, batch(3, 3)))
    until(lambda: bool(threads()))
    peer.socket.close()
    until(lambda: not threads())
    time.sleep(LONG_S)
    assert runs(stage.journal)[2:] == []
