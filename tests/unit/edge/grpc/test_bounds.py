"""Every limit at one less, at its own number, and at one more: of a request, and of a client's time."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import pytest

from serving.edge.grpc.codec import Codec
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.status import Code
from serving.errors import BadRequest
from serving.protocol.open_inference import ModelInferRequest
from serving.testing.predictions import FakePredictions
from tests.unit.edge.grpc.messages import decoded, request
from tests.unit.edge.grpc.wire import INFER, STREAM, Wire

MESSAGE = framed(request().SerializeToString())


def _raw(shape: list[int], data: bytes, datatype: str = "FP32") -> ModelInferRequest:
    asked = ModelInferRequest(model_name="mlp")
    asked.inputs.add(name="input", datatype=datatype, shape=shape)
    asked.raw_input_contents.append(data)
    return asked


def _several(count: int) -> ModelInferRequest:
    asked = ModelInferRequest(model_name="mlp")
    for number in range(count):
        asked.inputs.add(name=str(number), datatype="FP32", shape=[1])
        asked.raw_input_contents.append(bytes(4))
    return asked


def _outputs(count: int) -> ModelInferRequest:
    asked = request()
    for number in range(count):
        asked.outputs.add(name=str(number))
    return asked


def _string(size: int) -> bytes:
    return struct.pack("<I", size) + b"a" * size


SIZES: list[tuple[GrpcLimits, int, Callable[[int], ModelInferRequest]]] = [
    (GrpcLimits(max_tensors=3), 3, _several),
    (GrpcLimits(max_tensors=3), 3, _outputs),
    (GrpcLimits(max_rank=4), 4, lambda n: _raw([1] * n, bytes(4))),
    (GrpcLimits(max_elements=10), 10, lambda n: _raw([1, n], bytes(4 * n))),
    (GrpcLimits(max_strings=5), 5, lambda n: _raw([n], _string(1) * n, "BYTES")),
    (GrpcLimits(max_string_bytes=6), 6, lambda n: _raw([1], _string(n), "BYTES")),
]


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize(
    ("limits", "most", "make"), SIZES, ids=["inputs", "outputs", "rank", "elements", "strings", "string"]
)
def test_a_request_may_have_so_much_and_no_more(
    limits: GrpcLimits, most: int, make: Callable[[int], ModelInferRequest], over: int
) -> None:
    message = make(most + over).SerializeToString()
    if over > 0:
        with pytest.raises(BadRequest):
            decoded(Codec(limits), message)
    else:
        decoded(Codec(limits), message)


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize("sent", [b"", MESSAGE[:20]], ids=["nothing", "a part"])
async def test_a_message_has_so_much_time_and_no_more(sent: bytes, over: int) -> None:
    # A second more for each KB, so that what arrived counts for less than the steps of this test.
    wire = Wire(GrpcLimits(body_s=8, min_body_kb_s=1, sweep_s=1), FakePredictions(hold=True)).greet()
    number = wire.begin(INFER)
    if sent:
        wire.client.send_data(number, sent)
        wire.pump()
    wire.sweep(8 + over * 0.125)
    assert wire.calls[number].over is (over > 0)


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize("sent", [[MESSAGE[:20]], [MESSAGE[:9], MESSAGE[9:] + MESSAGE[:20]]], ids=["first", "next"])
async def test_a_part_of_a_streams_message_has_so_much_time_and_no_more(sent: list[bytes], over: int) -> None:
    wire = Wire(GrpcLimits(body_s=8, min_body_kb_s=1, sweep_s=1)).greet()
    number = wire.begin(STREAM)
    wire.client.send_data(number, MESSAGE)
    wire.pump()
    # Between messages a stream may be silent.
    wire.sweep(100)
    for piece in sent:
        wire.sweep(7)
        wire.client.send_data(number, piece)
        wire.pump()
    wire.sweep(8 + over * 0.125)
    ended = wire.calls[number]
    assert (ended.status, ended.reset) == ((Code.DEADLINE_EXCEEDED, 0) if over > 0 else (-1, None))
    assert (wire.budget.used == 0) is (over > 0)


async def test_a_message_that_the_stream_itself_holds_up_may_take_its_time() -> None:
    wire = Wire(GrpcLimits(body_s=8, max_stream_in_flight=1), FakePredictions(hold=True)).greet()
    number = wire.begin(STREAM)
    wire.client.send_data(number, MESSAGE * 2 + MESSAGE[:20])
    wire.pump()
    wire.sweep(100)
    assert wire.calls[number].status == -1
    wire.predictions.release()
    await asyncio.sleep(0)
    wire.pump()
    wire.sweep(7)
    assert wire.calls[number].status == -1
    wire.sweep(2)
    assert wire.calls[number].status == Code.DEADLINE_EXCEEDED


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_a_client_has_so_much_time_to_begin_and_no_more(over: int) -> None:
    wire = Wire(GrpcLimits(head_s=8, idle_s=64, sweep_s=1))
    wire.sweep(8 + over * 0.125)
    assert wire.transport.closed is (over > 0)


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_a_client_that_asks_nothing_stays_so_long_and_no_longer(over: int) -> None:
    wire = Wire(GrpcLimits(idle_s=8, head_s=64, sweep_s=1)).greet()
    wire.sweep(8 + over * 0.125)
    assert bool(wire.goodbyes) is (over > 0)


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_a_client_that_takes_nothing_has_so_much_time_and_no_more(over: int) -> None:
    wire = Wire(GrpcLimits(write_stall_s=8, sweep_s=1)).greet()
    wire.connection.pause_writing()
    wire.sweep(8 + over * 0.125)
    assert wire.transport.closed is (over > 0)
