"""What a replica tells of itself to those who scale its pool."""

from __future__ import annotations

from serving.pool.wire_server import WireServer
from serving.wire.frame import PING, PONG, RESULT, encode
from serving.wire.waits_frame import Waits, encode_waits
from tests.integration.tensor_stream.doubling_host import batch, runs, sleeps
from tests.integration.tensor_stream.peer import Peer, Stage, until
from tests.integration.tensor_stream.test_long_runs import LONG_S, a_long_one_is_known, answers


def tells(peer: Peer, waits: Waits) -> None:
    peer.send(encode_waits(waits))
    assert peer.next().kind == PONG


def busy(server: WireServer) -> float:
    return server.load().busy


def test_the_share_of_time_in_which_batches_ran_is_told_since_the_last_look(stage: Stage) -> None:
    server = stage.server()
    peer = stage.peer(server)
    assert busy(server) == 0.0
    peer.send(peer.run(1, batch(sleeps(LONG_S))))
    assert peer.next().kind == RESULT
    assert 0.0 < busy(server) <= 1.0
    assert busy(server) == 0.0


def test_what_ran_for_a_gateway_that_has_gone_counts(stage: Stage) -> None:
    server = stage.server()
    peer = stage.peer(server)
    peer.send(peer.run(1, batch(sleeps(LONG_S))))
    assert peer.next().kind == RESULT
    peer.socket.close()
    until(lambda: server.connections == 0)
    assert busy(server) > 0.0
    assert busy(server) == 0.0


def test_a_long_batch_counts_while_it_runs(stage: Stage) -> None:
    server, peer = a_long_one_is_known(stage)
    busy(server)
    peer.send(peer.run(2, batch(sleeps(20 * LONG_S), 0)))
    until(lambda: len(runs(stage.journal)) == 2)
    assert busy(server) > 0.0
    assert busy(server) > 0.0
    assert [frame.batch_id for frame in answers(peer, 1)] == [2]


def test_the_gateway_whose_rows_are_worst_off_is_told_of_with_the_rows_of_all(stage: Stage) -> None:
    server = stage.server()
    assert server.load().waits is None
    one, other, old = (stage.peer(server) for _ in range(3))
    old.send(encode(PING))
    assert old.next().kind == PONG
    assert server.load().waits is None
    tells(one, Waits(0.25, 1.0, 1.5, 3))
    tells(other, Waits(0.125, 0.25, 0.5, 4))
    assert server.load().waits == Waits(0.125, 0.25, 0.5, 7)
    other.socket.close()
    until(lambda: server.connections == 2)
    assert server.load().waits == Waits(0.25, 1.0, 1.5, 3)
