"""The pool's end of the tensor stream, frame by frame."""

from __future__ import annotations

import threading

import pytest

from serving.inference import VersionKey
from serving.wire.batch_frame import decode_result
from serving.wire.catalogue import decode_catalogue
from serving.wire.frame import CANCEL, CATALOGUE, GOAWAY, PING, PONG, RESULT, encode
from tests.integration.tensor_stream.doubling_host import (
    SIGNATURE,
    batch,
    runs,
    sleeps,
    values_of,
    wide_batch,
)
from tests.integration.tensor_stream.peer import Stage, failure, until


def test_batches_of_one_connection_are_answered_in_order(stage: Stage) -> None:
    peer = stage.peer(stage.server())
    peer.send(*(peer.run(number, batch(number)) for number in range(1, 100)))
    frames = [peer.next() for _ in range(1, 100)]
    assert [frame.batch_id for frame in frames] == list(range(1, 100))
    assert [values_of(decode_result(frame, 1, SIGNATURE)) for frame in frames] == [[2.0 * n] for n in range(1, 100)]


def test_a_cancel_that_arrived_while_another_batch_ran_prevents_the_run(stage: Stage) -> None:
    peer = stage.peer(stage.server())
    peer.send(peer.run(1, batch(sleeps(0.2))))
    until(lambda: len(runs(stage.journal)) == 1)
    peer.send(peer.run(2, batch(2)), peer.run(3, batch(3)), encode(CANCEL, batch_id=2))
    assert sorted(peer.next().batch_id for _ in range(3)) == [1, 2, 3]
    assert runs(stage.journal) == ["1000.2", "3"]


def test_a_batch_whose_time_passed_while_another_ran_does_not_run(stage: Stage) -> None:
    peer = stage.peer(stage.server())
    peer.send(peer.run(1, batch(sleeps(0.2))), peer.run(2, batch(2), ttl_s=0.05), peer.run(3, batch(3)))
    assert peer.next().kind == RESULT
    assert failure(peer.next()).reason == "deadline_exceeded"
    assert peer.next().kind == RESULT
    assert runs(stage.journal) == ["1000.2", "3"]


def test_nothing_runs_for_a_gateway_that_has_gone(stage: Stage) -> None:
    server = stage.server()
    peer = stage.peer(server)
    peer.send(peer.run(1, batch(sleeps(0.5))), peer.run(2, batch(2)))
    until(lambda: len(runs(stage.journal)) == 1)
    peer.socket.close()
    until(lambda: server.connections == 0)
    assert runs(stage.journal) == ["1000.5"]


@pytest.mark.parametrize("permits", [1, 2])
def test_no_more_batches_run_at_once_than_are_permitted(stage: Stage, permits: int) -> None:
    server = stage.server(parallel_runs=permits)
    peers = [stage.peer(server) for _ in range(4)]
    for peer in peers:
        peer.send(peer.run(1, batch(sleeps(0.1))))
    assert [peer.next().kind for peer in peers] == [RESULT] * 4
    assert stage.host.most_at_once == permits


def test_a_gateway_that_does_not_read_neither_blocks_others_nor_stays(stage: Stage) -> None:
    server = stage.server(send_s=0.5)
    stuck = stage.peer(server)
    stuck.send(stuck.run(1, wide_batch(4_000_000)))
    other = stage.peer(server)
    for number in range(1, 20):
        other.send(other.run(number, batch(number)))
        assert other.next().kind == RESULT
    until(lambda: server.connections == 1)


def test_a_long_run_is_reported_alive(stage: Stage) -> None:
    peer = stage.peer(stage.server(pulse_s=0.02))
    peer.send(peer.run(1, batch(sleeps(0.3))))
    kinds = [peer.next().kind]
    while kinds[-1] != RESULT:
        kinds.append(peer.next().kind)
    assert kinds.count(PONG) >= 2
    peer.send(encode(PING, batch_id=9))
    answered = peer.next()
    while answered.batch_id != 9:
        answered = peer.next()
    assert answered.kind == PONG


def test_a_batch_whose_tensors_contradict_themselves_fails_alone(stage: Stage) -> None:
    peer = stage.peer(stage.server())
    torn = bytearray(peer.run(1, batch(1)))
    torn[48] = 77
    peer.send(bytes(torn), peer.run(2, batch(2)))
    assert "contradict" in failure(peer.next()).message
    assert peer.next().kind == RESULT


def test_gateways_are_told_what_is_hosted_while_connected(stage: Stage) -> None:
    peer = stage.peer(stage.server())
    old = peer.run(1, batch(1))
    other = VersionKey("other", 2)
    stage.host.refusing = {VersionKey("broken", 1): "ends early"}
    stage.host.host(other)
    frame = peer.next()
    assert frame.kind == CATALOGUE
    peer.catalogue = decode_catalogue(frame)
    assert [hosted.key for hosted in peer.catalogue.slots.values()] == [other]
    assert peer.catalogue.refused == {VersionKey("broken", 1): "ends early"}
    # Sent under a number that has been given back: it meets nothing else.
    peer.send(old)
    assert failure(peer.next()).reason == "not_ready"


def test_a_catalogue_larger_than_a_sockets_buffer_is_told_and_holds_nobody_up(stage: Stage) -> None:
    server = stage.server(pulse_s=0.02)
    stuck, reading = stage.peer(server), stage.peer(server)
    stage.host.host(*(VersionKey("x" * 500 + str(number), 1) for number in range(2000)))
    assert len(decode_catalogue(reading.next()).slots) == 2000
    reading.send(encode(PING, batch_id=3))
    assert reading.next().kind == PONG
    assert len(decode_catalogue(stuck.next()).slots) == 2000


def test_a_gateway_that_takes_half_of_a_catalogue_is_let_go(stage: Stage) -> None:
    server = stage.server(pulse_s=0.02, send_s=0.1)
    stuck = stage.peer(server)
    stage.host.host(*(VersionKey("x" * 500 + str(number), 1) for number in range(2000)))
    until(lambda: server.connections == 0)
    assert stuck.ended()


def test_draining_answers_what_was_sent_and_waits_for_gateways_to_leave(stage: Stage) -> None:
    server = stage.server()
    peer = stage.peer(server)
    peer.send(peer.run(1, batch(sleeps(0.1))), peer.run(2, batch(2)))
    until(lambda: len(runs(stage.journal)) == 1)
    drained: list[bool] = []
    draining = threading.Thread(target=lambda: drained.append(server.drain(5.0)))
    draining.start()
    assert sorted(peer.next().kind for _ in range(3)) == sorted([GOAWAY, RESULT, RESULT])
    with pytest.raises(OSError, match=r"refused|No such file"):
        stage.stranger(server)
    assert not drained
    peer.socket.close()
    draining.join()
    assert drained == [True]


def test_draining_does_not_wait_longer_than_its_grace(stage: Stage) -> None:
    server = stage.server()
    stage.peer(server)
    assert server.drain(0.1) is False
