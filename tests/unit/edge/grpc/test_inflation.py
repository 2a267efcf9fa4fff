"""Compressed messages in steps: bounded, claimed as they grow, and in their place among others."""

from __future__ import annotations

import asyncio
import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.grpc.inflation import inflating
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.status import Code
from serving.errors import BadRequest, Overloaded, ServingError, TooLarge
from serving.inference import Answer, Buffer, Request
from serving.protocol.open_inference import ModelInferRequest
from serving.testing.predictions import FakePredictions, mean_answer
from tests.unit.edge.grpc.messages import floats, request
from tests.unit.edge.grpc.wire import INFER, STREAM, Wire

MB = 1 << 20
NOISE = np.random.default_rng(7).bytes(300_000)
GZIP = (b"grpc-encoding", b"gzip")


def run(message: bytes, most: int, claims: list[int]) -> tuple[Buffer, list[int]]:
    """What is inflated, and how much was claimed by the end of each step."""
    steps, sums = inflating(message, most, claims.append), list[int]()
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            return ended.value, [*sums, sum(claims)]
        sums.append(sum(claims))


@given(st.integers(0, 40_000) | st.sampled_from([16_384, 262_144, 299_999]), st.booleans())
def test_whatever_was_compressed_comes_back_and_is_all_that_is_claimed(size: int, noisy: bool) -> None:
    data = NOISE[:size] if noisy else bytes(size)
    message, claims = gzip.compress(data, 1), list[int]()
    made, _ = run(message, 300_000, claims)
    assert made == data
    assert len(message) + sum(claims) == size


def test_no_step_makes_more_than_a_quarter_of_a_megabyte() -> None:
    message = gzip.compress(bytes(4 * MB))
    made, sums = run(message, 4 * MB, [])
    assert made == bytes(4 * MB)
    assert len(sums) > 16
    assert max(after - before for before, after in zip([0, *sums], sums, strict=False)) <= MB // 4


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_as_much_as_the_limit_and_no_more_is_inflated(over: int) -> None:
    message, claims = gzip.compress(bytes(MB + over)), list[int]()
    if over > 0:
        with pytest.raises(TooLarge, match="max_inflated_mb"):
            run(message, MB, claims)
        assert len(message) + sum(claims) <= MB
    else:
        assert run(message, MB, claims)[0] == bytes(MB + over)


@pytest.mark.parametrize("data", [gzip.compress(NOISE)[:-9], gzip.compress(NOISE)[:9], b""])
def test_what_ends_early_is_refused_by_its_last_step(data: bytes) -> None:
    with pytest.raises(BadRequest, match="ends too early"):
        run(data, MB, [])


def test_what_has_no_room_is_refused_where_it_grows_beyond_it() -> None:
    held = 0

    def claim(size: int) -> None:
        nonlocal held
        if held + size > MB:
            raise Overloaded("full")
        held += size

    with pytest.raises(Overloaded):
        list(inflating(gzip.compress(bytes(8 * MB)), 8 * MB, claim))
    assert MB - MB // 4 <= held <= MB


def _squeezed(rows: int) -> bytes:
    asked = ModelInferRequest(model_name="mlp", raw_input_contents=[floats(1.0) * 4 * rows])
    asked.inputs.add(name="input", datatype="FP32", shape=[rows, 4])
    data = gzip.compress(asked.SerializeToString())
    return struct.pack(">BI", 1, len(data)) + data


def _wire() -> tuple[Wire, list[int]]:
    rows: list[int] = []

    def reply(asked: Request) -> Answer | ServingError:
        rows.append(asked.inputs[0].shape[0])
        return mean_answer(asked)

    return Wire(predictions=FakePredictions(reply=reply)).greet(), rows


async def _turns(wire: Wire) -> None:
    for _ in range(20):
        await asyncio.sleep(0)
        wire.pump()


async def test_a_large_compressed_message_is_inflated_in_later_turns() -> None:
    wire, rows = _wire()
    numbers = []
    for message in (_squeezed(100_000), _squeezed(10), _squeezed(100_000)[:-30]):
        numbers.append(wire.begin(INFER, GZIP))
        cut = message[:1] + struct.pack(">I", len(message) - 5) + message[5:]
        wire.client.send_data(numbers[-1], cut, end_stream=True)
        wire.pump()
    assert rows == [10]
    await _turns(wire)
    assert rows == [10, 100_000]
    assert [wire.calls[number].status for number in numbers] == [Code.OK, Code.OK, Code.INVALID_ARGUMENT]
    assert wire.budget.used == 0


async def test_messages_of_a_stream_are_heard_in_their_order_also_where_one_is_inflated_in_turns() -> None:
    wire, rows = _wire()
    number = wire.begin(STREAM, GZIP)
    plain = framed(request().SerializeToString())
    wire.client.send_data(number, _squeezed(100_000) + plain + _squeezed(10), end_stream=True)
    wire.pump()
    assert rows == []
    wire.connection.take_no_more()
    await _turns(wire)
    assert rows == [100_000, 1, 10]
    assert (wire.calls[number].status, wire.budget.used) == (Code.OK, 0)


@pytest.mark.parametrize("path", [INFER, STREAM])
async def test_a_caller_who_leaves_while_its_message_is_inflated_asks_nothing(path: bytes) -> None:
    wire, rows = _wire()
    number = wire.begin(path, GZIP)
    wire.client.send_data(number, _squeezed(100_000), end_stream=True)
    wire.pump()
    wire.client.reset_stream(number, 8)
    wire.pump()
    await _turns(wire)
    assert (rows, wire.budget.used) == ([], 0)


async def test_a_message_of_a_stream_that_becomes_too_large_ends_it() -> None:
    wire = Wire(GrpcLimits(max_inflated_mb=1)).greet()
    number = wire.begin(STREAM, GZIP)
    wire.client.send_data(number, _squeezed(100_000))
    wire.pump()
    await _turns(wire)
    assert wire.calls[number].status == Code.RESOURCE_EXHAUSTED
    assert wire.budget.used == 0
