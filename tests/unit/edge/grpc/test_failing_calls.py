"""Calls that fail in the middle: how they end, and what is held for them afterwards."""

from __future__ import annotations

import pytest

from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.status import Code
from serving.testing.predictions import FakePredictions
from tests.unit.edge.grpc.messages import request
from tests.unit.edge.grpc.test_connection import large
from tests.unit.edge.grpc.wire import INFER, STREAM, Wire

MESSAGE = framed(request().SerializeToString())


@pytest.mark.parametrize("path", [INFER, STREAM])
async def test_a_defect_costs_its_call_and_is_told(path: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire().greet()
    other = wire.begin(INFER)

    def broken(_message: bytes) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(type(wire.edge.codec), "decode", lambda _self, message: broken(message))
        number = wire.begin(path)
        wire.client.send_data(number, MESSAGE)
        if path == INFER:
            wire.client.end_stream(number)
        wire.pump()
    assert (wire.calls[number].status, wire.calls[number].over, wire.budget.used) == (Code.INTERNAL, True, 0)
    wire.client.send_data(other, MESSAGE, end_stream=True)
    wire.pump()
    assert wire.calls[other].status == Code.OK


async def test_a_stream_that_fails_after_an_answer_is_over() -> None:
    wire = Wire().greet()
    number = wire.begin(STREAM)
    wire.client.send_data(number, MESSAGE)
    wire.pump()
    assert wire.calls[number].data
    wire.client.send_data(number, b"\7xxxx")
    wire.pump()
    ended = wire.calls[number]
    assert (ended.status, ended.reset, ended.over) == (Code.INVALID_ARGUMENT, 0, True)
    assert wire.connection.idle_since is not None
    assert wire.budget.used == 0


async def test_a_stream_that_fails_has_its_earlier_answers_before_its_reset() -> None:
    wire = Wire(predictions=FakePredictions(reply=large)).greet()
    number = wire.begin(STREAM)
    wire.client.send_data(number, MESSAGE)
    wire.connection.data_received(wire.client.data_to_send())
    said = wire.budget.used
    wire.predictions.hold = True
    wire.client.send_data(number, MESSAGE)
    wire.connection.data_received(wire.client.data_to_send())
    assert wire.budget.used == said + len(MESSAGE) - 5
    wire.client.send_data(number, b"\7xxxx")
    wire.connection.data_received(wire.client.data_to_send())
    # What was heard is of no more use and given back at once; what was said when it is taken.
    assert wire.budget.used == said > 1 << 20
    assert wire.calls[number].reset is None
    for _ in range(60):
        wire.pump()
    ended = wire.calls[number]
    assert (ended.status, ended.reset, ended.over) == (Code.INVALID_ARGUMENT, 0, True)
    assert len(ended.data) > 1 << 20
    assert wire.budget.used == 0


async def test_a_failed_stream_whose_answers_are_not_taken_is_cut() -> None:
    wire = Wire(GrpcLimits(write_stall_s=8), FakePredictions(reply=large)).greet()
    number = wire.begin(STREAM)
    wire.client.send_data(number, MESSAGE)
    wire.connection.data_received(wire.client.data_to_send())
    wire.client.send_data(number, b"\7xxxx")
    wire.connection.data_received(wire.client.data_to_send())
    wire.sweep(7)
    assert wire.budget.used > 1 << 20
    wire.sweep(2)
    assert wire.calls[number].reset == 8
    assert wire.budget.used == 0
    assert wire.connection.idle_since is not None
