"""Clients that do not end what they have begun: metadata in pieces, frames in pieces; and those that only look so."""

from __future__ import annotations

import pytest

from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.status import Code
from serving.testing.predictions import FakePredictions
from tests.unit.edge.grpc.messages import request
from tests.unit.edge.grpc.wire import STREAM, Wire, headers_of

MESSAGE = framed(request().SerializeToString())
LIMITS = GrpcLimits(head_s=8, idle_s=1000, body_s=1000)
ENHANCE_YOUR_CALM = 11
CONTINUATION = 9
# An unknown kind of frame, and PRIORITY: both whole, and without a meaning here.
MEANINGLESS = [b"\0\0\1\xee\0\0\0\0\0x", b"\0\0\5\2\0\0\0\0\x63\0\0\0\0\x10"]


def head_in_pieces(wire: Wire) -> list[bytes]:
    """A call's metadata as HEADERS and CONTINUATION, a byte in each frame."""
    wire.client.send_request(headers_of(STREAM))
    data = wire.client.data_to_send()
    size, number = int.from_bytes(data[:3], "big"), data[5:9]
    block = data[9 : 9 + size]
    frames = [bytes((0, 0, 1, 1, 0)) + number + block[:1]]
    frames += [bytes((0, 0, 1, CONTINUATION, 0)) + number + block[at : at + 1] for at in range(1, size)]
    return frames


def is_cut(wire: Wire) -> bool:
    wire.take()
    return wire.transport.closed


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_metadata_that_does_not_end_has_so_much_time_and_no_more(over: int) -> None:
    wire = Wire(LIMITS, FakePredictions(hold=True)).greet()
    wire.begin(STREAM)
    other = wire.ask()
    for piece in head_in_pieces(wire)[:7]:
        wire.connection.data_received(piece)
        wire.sweep(1)
    assert not is_cut(wire)
    wire.sweep(1 + over * 0.125)
    assert is_cut(wire) is (over > 0)
    assert bool(wire.goodbyes) is (over > 0)
    assert wire.calls[other].status == -1


async def test_the_client_is_told_why() -> None:
    wire = Wire(LIMITS).greet()
    wire.connection.data_received(head_in_pieces(wire)[0])
    wire.sweep(1)
    wire.transport.written.clear()
    wire.now += 8
    wire.connection.sweep(wire.now)
    said = b"".join(wire.transport.written)
    # GOAWAY: length 8, kind 7, no stream; the last stream; why.
    assert said.startswith(b"\0\0\x08\7\0\0\0\0\0")
    assert said[13:17] == ENHANCE_YOUR_CALM.to_bytes(4, "big")


@pytest.mark.parametrize("kind", [0, 1, 6], ids=["DATA", "HEADERS", "PING"])
async def test_a_frame_that_does_not_end_has_as_much(kind: int) -> None:
    wire = Wire(LIMITS).greet()
    wire.begin(STREAM)
    wire.connection.data_received(bytes((0, 0, 8, kind)))
    wire.sweep(8)
    assert not is_cut(wire)
    wire.sweep(0.25)
    assert is_cut(wire)


async def test_a_head_that_ends_in_time_is_a_call() -> None:
    wire = Wire(LIMITS).greet()
    *pieces, last = head_in_pieces(wire)
    wire.connection.data_received(pieces[0])
    wire.sweep(7)
    for piece in pieces[1:7]:
        wire.connection.data_received(piece)
    rest = b"".join(piece[9:] for piece in [*pieces[7:], last])
    wire.connection.data_received(len(rest).to_bytes(3, "big") + bytes((CONTINUATION, 4)) + last[5:9] + rest)
    wire.sweep(100)
    assert not is_cut(wire)
    assert wire.connection.idle_since is None


@pytest.mark.parametrize("frame", MEANINGLESS, ids=["unknown", "priority"])
async def test_whole_frames_that_mean_nothing_cost_nobody_the_connection(frame: bytes) -> None:
    wire = Wire(LIMITS).greet()
    wire.connection.data_received(frame)
    for _ in range(5):
        wire.sweep(7)
        wire.pump()
    assert not is_cut(wire)
    assert wire.calls[wire.ask()].status == Code.OK


async def test_a_client_that_we_do_not_read_from_is_not_blamed() -> None:
    wire = Wire(GrpcLimits(head_s=8, idle_s=1000, write_stall_s=100)).greet()
    wire.connection.data_received(MEANINGLESS[0])
    wire.connection.pause_writing()
    wire.sweep(50)
    wire.connection.resume_writing()
    wire.sweep(1)
    wire.pump()
    wire.sweep(50)
    assert not is_cut(wire)
