"""What a hostile client of HTTP/2 can send or refuse to take: its connection ends, or what it holds is bounded."""

from __future__ import annotations

import asyncio

import ngh2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngh2.config import Role

from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.status import Code
from serving.inference import Answer, Request, Tensor
from serving.testing.predictions import FakePredictions, answer_of
from tests.unit.edge.grpc.messages import request
from tests.unit.edge.grpc.wire import INFER, STREAM, Wire, headers_of

MB = 1 << 20
PING = b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
MESSAGE = framed(request().SerializeToString())


def _large(asked: Request) -> Answer:
    return answer_of(asked, (Tensor("y", "UINT8", (1, MB), bytes(MB)),))


def _said(calls: int) -> bytes:
    """All that a client says which makes so many calls and hears nothing."""
    client = ngh2.Connection(Role.CLIENT, ngh2.Configuration(peer_max_concurrent_streams=calls))
    client.initiate_connection()
    for _ in range(calls):
        number = client.send_request(headers_of(INFER))
        client.send_data(number, MESSAGE, end_stream=True)
    pieces = []
    while data := client.data_to_send():
        pieces.append(data)
    return b"".join(pieces)


SAID = _said(3)


@pytest.mark.parametrize("frame", [PING, SETTINGS])
async def test_a_flood_that_is_not_listened_to_costs_its_connection(frame: bytes) -> None:
    wire = Wire().greet()
    wire.connection.pause_writing()
    for _ in range(20):
        if not wire.transport.closed:
            wire.connection.data_received(frame * 200)
    assert wire.transport.closed


@pytest.mark.parametrize("frame", [PING, SETTINGS])
async def test_a_client_that_listens_may_ask_often_and_is_answered(frame: bytes) -> None:
    wire = Wire().greet()
    for _ in range(20):
        wire.connection.data_received(frame * 200)
        assert sum(map(len, wire.transport.written)) < 100_000
        wire.transport.written.clear()
    assert not wire.transport.closed


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_so_many_calls_are_in_flight_on_a_connection_and_no_more(over: int) -> None:
    wire = Wire(GrpcLimits(max_concurrent_streams=20), FakePredictions(hold=True))
    wire.connection.data_received(_said(20 + over))
    assert len(wire.predictions.held) == min(20, 20 + over)


async def test_calls_far_beyond_the_bound_are_never_begun() -> None:
    wire = Wire(GrpcLimits(max_concurrent_streams=20), FakePredictions(hold=True))
    wire.connection.data_received(_said(3000))
    assert len(wire.predictions.held) <= 20
    wire.lose()
    assert wire.budget.used == 0


async def test_answers_that_are_not_taken_hold_no_more_than_the_budget() -> None:
    wire = Wire(predictions=FakePredictions(hold=True, reply=_large))
    wire.client = ngh2.Connection(Role.CLIENT, ngh2.Configuration(auto_window_update=False))
    wire.budget.capacity = 4 * MB
    wire.greet()
    calls = [wire.calls[wire.ask()] for _ in range(10)]
    wire.predictions.release()
    await asyncio.sleep(0)
    wire.take()
    assert 3 * MB < wire.budget.used <= 4 * MB
    assert sum(b"retry-after" in call.headers for call in calls) == 7
    # What the windows took is progress, noticed by the next sweep.
    wire.sweep(1)
    wire.sweep(GrpcLimits().write_stall_s + 1)
    assert wire.budget.used == 0


@pytest.mark.parametrize("path", [INFER, STREAM])
async def test_whoever_announces_much_holds_nothing_with_it(path: bytes) -> None:
    wire = Wire().greet()
    number = wire.begin(path)
    wire.client.send_data(number, b"\0\3\xc0\0\0")
    wire.pump()
    assert wire.budget.used == 0
    wire.client.send_data(number, bytes(1000))
    wire.pump()
    assert wire.budget.used == 1000
    wire.lose()
    assert wire.budget.used == 0


@pytest.mark.parametrize("pieces", [1, 3000])
async def test_many_small_messages_of_a_stream_are_heard_in_turns(pieces: int) -> None:
    wire = Wire().greet()
    number = wire.begin(STREAM)
    for piece in range(pieces):
        wire.client.send_data(number, framed(b"") * (3000 // pieces), end_stream=piece == pieces - 1)
    while data := wire.client.data_to_send():
        wire.connection.data_received(data)
    assert 0 < len(wire.observer.refusals) <= 100
    for _ in range(200):
        await asyncio.sleep(0)
        wire.take()
        wire.pump()
    assert len(wire.observer.refusals) == 3000
    assert wire.calls[number].status == Code.OK
    assert wire.budget.used == 0


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SAID)), st.integers(0, 4), st.binary(max_size=4)), min_size=1, max_size=4),
    st.integers(0, len(SAID)),
)
def test_a_changed_stream_of_frames_costs_no_more_than_its_connection(
    changes: list[tuple[int, int, bytes]], cut: int
) -> None:
    data = bytearray(SAID)
    for at, removed, added in changes:
        data[at : at + removed] = added

    async def use() -> None:
        wire = Wire()
        for piece in (bytes(data[:cut]), bytes(data[cut:])):
            if piece and not wire.transport.closed:
                wire.connection.data_received(piece)
        await asyncio.sleep(0)
        wire.lose()
        assert wire.budget.used == 0
        assert not wire.edge.connections

    asyncio.run(use())
