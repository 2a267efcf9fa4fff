"""The pool's end against peers that prove nothing, or break the rules."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from serving.errors import StreamRefused
from serving.wire.frame import HEAD, PING, RESULT, RUN, WELCOME, encode
from serving.wire.handshake import decode_challenge, decode_welcome
from tests.integration.tensor_stream.doubling_host import (
    batch,
)
from tests.integration.tensor_stream.peer import NONCE, SECRET, Stage, until


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
        bytes(1000),
        HEAD.pack(4093, 2, 0, 0, 0),
        encode(2, b"{}"),
        encode(2, b"[" * 4000),
        encode(PING),
        encode(2, b'{"versions":[1],"nonce":"zz"}'),
    ],
)
def test_a_stranger_is_refused_with_a_sentence_and_without_a_traceback(
    stage: Stage, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server = stage.server()
    stranger = stage.stranger(server)
    challenge = decode_challenge(stranger.next())
    stranger.send(sent)
    answer = stranger.next()
    with pytest.raises(StreamRefused):
        decode_welcome(answer, challenge, NONCE, SECRET)
    assert stranger.ended()
    assert not any(record.exc_info for record in caplog.records)
    friend = stage.peer(server)
    friend.send(friend.run(1, batch(1)))
    assert friend.next().kind == RESULT


def test_a_wrong_version_is_refused_by_name(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    server = stage.server()
    with pytest.raises(StreamRefused, match=r"speaks version 1 of the tensor stream and was offered 77, 76"):
        stage.stranger(server).shake(versions=(77, 76))
    until(lambda: "was offered 77, 76" in caplog.text)


def test_a_wrong_secret_is_refused(stage: Stage) -> None:
    server = stage.server()
    stranger = stage.stranger(server)
    with pytest.raises(StreamRefused, match="secret is wrong"):
        stranger.shake(secret=b"another")
    assert stranger.ended()


def test_a_stranger_who_says_nothing_or_too_slowly_is_shown_the_door(stage: Stage) -> None:
    server = stage.server(handshake_s=0.3)
    silent, slow = stage.stranger(server), stage.stranger(server)

    def dribble() -> None:
        with contextlib.suppress(OSError):
            for byte in HEAD.pack(4000, 2, 0, 0, 0) + bytes(200):
                slow.send(bytes([byte]))
                time.sleep(0.05)

    dribbling = threading.Thread(target=dribble)
    dribbling.start()
    assert silent.ended()
    until(lambda: server.connections == 0)
    dribbling.join()


@pytest.mark.parametrize(
    "sent",
    [
        bytes(64),
        encode(WELCOME, b"{}"),
        encode(RUN, b"short"),
        HEAD.pack(2**30, RUN, 0, 0, 0),
    ],
)
def test_a_gateway_that_breaks_the_rules_is_dropped(
    stage: Stage, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server = stage.server()
    peer = stage.peer(server)
    peer.send(sent)
    assert peer.ended()
    assert not any(record.exc_info for record in caplog.records)
    until(lambda: "a gateway's connection was ended" in caplog.text)


def test_connections_are_bounded(stage: Stage) -> None:
    server = stage.server(max_connections=2)
    friends = [stage.peer(server) for _ in range(2)]
    assert stage.stranger(server).ended()
    friends[0].socket.close()
    until(lambda: server.connections == 1)
    assert stage.peer(server).catalogue.slots


def test_strangers_do_not_keep_gateways_out(stage: Stage) -> None:
    server = stage.server(max_connections=3)
    friend = stage.peer(server)
    strangers = [stage.stranger(server) for _ in range(6)]
    until(lambda: server.connections == 3)
    assert stage.peer(server).catalogue.slots
    friend.send(friend.run(1, batch(1)))
    assert friend.next().kind == RESULT
    assert strangers[0].ended()
