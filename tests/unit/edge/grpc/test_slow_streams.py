"""Readers of streams that do not read: what they hold is counted, has room or is refused, and is cut in time."""

from __future__ import annotations

import asyncio

import ngh2
import pytest
from ngh2.config import Role

from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.status import Code
from serving.edge.grpc.untaken import Untaken
from serving.inference import Answer, Request, Tensor
from serving.testing.predictions import FakePredictions, answer_of
from tests.unit.edge.grpc.messages import request
from tests.unit.edge.grpc.wire import STREAM, Wire

MB = 1 << 20
MESSAGE = framed(request().SerializeToString())
WATCH = b"/grpc.health.v1.Health/Watch"


def _large(asked: Request) -> Answer:
    return answer_of(asked, (Tensor("y", "UINT8", (1, MB), bytes(MB)),))


def _deaf(limits: GrpcLimits, predictions: FakePredictions) -> Wire:
    """A client that opens no window beyond the first 64 KB of each stream, and of the connection."""
    wire = Wire(limits, predictions)
    wire.client = ngh2.Connection(Role.CLIENT, ngh2.Configuration(auto_window_update=False))
    return wire.greet()


def _say(wire: Wire, number: int, data: bytes, *, end: bool = False) -> None:
    wire.client.send_data(number, data, end_stream=end)
    wire.pump()


def _take(wire: Wire, number: int, size: int) -> None:
    wire.client.acknowledge_received_data(size, number)
    wire.pump()


async def test_what_streams_said_and_nobody_took_is_counted_and_beyond_the_budget_refused() -> None:
    wire = _deaf(GrpcLimits(), FakePredictions(hold=True, reply=_large))
    wire.budget.capacity = 4 * MB
    for _ in range(2):
        _say(wire, wire.begin(STREAM), MESSAGE * 5)
    wire.predictions.release()
    await asyncio.sleep(0)
    assert 3 * MB < wire.budget.used <= 4 * MB
    # The other seven are answers too: errors in their turn, which end nothing.
    assert sum(map(wire.connection.queued, wire.calls)) < 4 * MB
    assert all(call.status == -1 for call in wire.calls.values())
    wire.lose()
    assert wire.budget.used == 0


async def test_an_answer_of_a_stream_that_has_no_room_is_an_error_in_its_turn() -> None:
    wire = Wire(predictions=FakePredictions(hold=True, reply=_large)).greet()
    number = wire.begin(STREAM)
    _say(wire, number, MESSAGE)
    wire.budget.capacity = MB
    wire.predictions.release()
    await asyncio.sleep(0)
    wire.take()
    assert b"try again in a moment" in wire.calls[number].data
    assert wire.calls[number].status == -1
    assert wire.budget.used == 0


async def test_an_answer_that_waits_for_an_earlier_one_is_counted() -> None:
    wire = Wire(predictions=FakePredictions(hold=True, reply=_large)).greet()
    number = wire.begin(STREAM)
    _say(wire, number, MESSAGE * 2)
    _first, second = wire.predictions.held
    second.reply(_large(second))
    assert wire.budget.used > MB
    wire.lose()
    assert wire.budget.used == 0


async def test_what_was_taken_is_held_no_more_though_the_stream_goes_on() -> None:
    wire = Wire(predictions=FakePredictions(reply=_large)).greet()
    number = wire.begin(STREAM)
    for _ in range(3):
        _say(wire, number, MESSAGE)
        for _ in range(40):
            wire.pump()
    assert len(wire.calls[number].data) > 3 * MB
    assert (wire.calls[number].over, wire.budget.used) == (False, 0)


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_a_stream_that_is_not_taken_has_so_much_time_and_no_more(over: int) -> None:
    wire = _deaf(GrpcLimits(write_stall_s=8, sweep_s=1), FakePredictions(reply=_large))
    number = wire.begin(STREAM)
    _say(wire, number, MESSAGE)
    wire.sweep(8 + over * 0.125)
    wire.pump()
    assert wire.calls[number].reset == (8 if over > 0 else None)
    assert (wire.budget.used == 0) is (over > 0)
    assert not wire.transport.closed


async def test_a_stream_that_is_taken_slowly_is_not_cut() -> None:
    wire = _deaf(GrpcLimits(write_stall_s=8, min_read_kb_s=4, sweep_s=1), FakePredictions(reply=_large))
    number = wire.begin(STREAM)
    _say(wire, number, MESSAGE)
    for _ in range(5):
        wire.sweep(7)
        _take(wire, number, 40_000)
    assert (wire.calls[number].reset, wire.budget.used > MB) == (None, True)
    wire.sweep(9)
    wire.pump()
    assert (wire.calls[number].reset, wire.budget.used) == (8, 0)


async def test_a_stream_that_has_taken_everything_may_be_silent() -> None:
    wire = Wire(GrpcLimits(write_stall_s=8, idle_s=1e6)).greet()
    numbers = [wire.begin(STREAM), wire.begin(WATCH)]
    _say(wire, numbers[0], MESSAGE)
    _say(wire, numbers[1], framed(b""))
    for _ in range(10):
        wire.sweep(100)
        wire.pump()
    assert [wire.calls[number].reset for number in numbers] == [None, None]
    _say(wire, numbers[0], MESSAGE, end=True)
    assert wire.calls[numbers[0]].status == Code.OK


def test_a_message_is_held_until_its_last_byte_is_taken() -> None:
    untaken = Untaken()
    untaken.add(10, 1.0)
    untaken.add(20, 2.0)
    assert untaken.look(21, 3.0) == 0
    assert untaken.look(20, 4.0) == 10
    assert untaken.look(1, 5.0) == 0
    assert untaken.total == 20
    limits = GrpcLimits(write_stall_s=1)
    assert not untaken.too_slow(6.0, 0.0, limits)
    assert untaken.too_slow(6.1, 0.0, limits)
    assert untaken.look(0, 9.0) == 20
    assert not untaken.too_slow(99.0, 99.0, limits)
