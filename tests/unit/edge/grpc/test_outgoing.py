"""Large messages on their way out: piece by piece, in order, and nothing left of a stream that is over."""

from __future__ import annotations

from typing import Any, cast

import ngh2
import pytest

from serving.edge.grpc import rendering
from serving.edge.grpc.outgoing import Outgoing, frame_size
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.status import Code
from serving.inference import Answer, Request, Tensor
from serving.protocol.open_inference import ModelInferResponse, ModelStreamInferResponse
from serving.testing.predictions import FakePredictions, answer_of
from tests.unit.edge.grpc.messages import request
from tests.unit.edge.grpc.wire import INFER, STREAM, Wire

MB = 1 << 20
PIECE = 1 << 18
MESSAGE = framed(request().SerializeToString())
VALUES = bytes(range(256)) * (5 * MB // 256)


class Queues:
    """HTTP/2 whose client takes what it is told to."""

    def __init__(self) -> None:
        self.given: list[bytes] = []
        self.left = 0
        self.ended: list[Any] = []
        self.closed = False

    def send_response(self, stream_id: int, headers: Any, *, end_stream: bool = False) -> None:
        """Nothing to keep."""

    def send_data(self, stream_id: int, data: Any) -> None:
        if self.closed:
            raise ngh2.StreamProtocolError("closed")
        self.given.append(bytes(data))
        self.left += len(data)

    def send_trailers(self, stream_id: int, headers: Any) -> None:
        self.ended.append(headers)

    def queued_body_size(self, stream_id: int) -> int:
        return self.left


def _outgoing() -> tuple[Outgoing, Queues]:
    queues = Queues()
    return Outgoing(cast("ngh2.Connection", queues)), queues


def test_a_large_message_is_given_as_it_is_taken_and_its_trailers_last() -> None:
    outgoing, queues = _outgoing()
    frame = (b"head", memoryview(VALUES), b"tail")
    outgoing.respond(1, [], frame, [(b"a", b"b")])
    assert queues.given == []
    while not queues.ended:
        outgoing.refill()
        assert queues.left < 2 * PIECE
        assert outgoing.queued(1) == frame_size(frame) - sum(map(len, queues.given)) + queues.left
        queues.left = 0
    assert max(map(len, queues.given)) == PIECE
    assert b"".join(queues.given) == b"head" + VALUES + b"tail"
    assert queues.ended == [[(b"a", b"b")]]
    assert outgoing.queued(1) == 0


def test_what_is_said_after_a_large_message_comes_after_it() -> None:
    outgoing, queues = _outgoing()
    outgoing.send(1, (b"", memoryview(VALUES)))
    outgoing.send(1, b"next")
    outgoing.send(1, b"x" * (PIECE + 1))
    outgoing.finish(1, [])
    assert (queues.given, queues.ended) == ([], [])
    while not queues.ended:
        outgoing.refill()
        queues.left = 0
    assert b"".join(queues.given) == VALUES + b"next" + b"x" * (PIECE + 1)
    outgoing.send(1, b"at once")
    assert queues.given[-1] == b"at once"


@pytest.mark.parametrize("told", [True, False])
def test_nothing_is_kept_of_a_stream_that_is_over(told: bool) -> None:
    outgoing, queues = _outgoing()
    outgoing.send(1, (memoryview(VALUES),))
    outgoing.refill()
    queues.left, queues.closed = 0, True
    if told:
        outgoing.forget(1)
    outgoing.refill()
    assert outgoing.queued(1) == 0
    assert (len(queues.given), queues.ended) == (1, [])


def _large(asked: Request) -> Answer:
    return answer_of(asked, (Tensor("y", "UINT8", (1, len(VALUES)), memoryview(VALUES)),))


def _read(wire: Wire, number: int) -> bytes:
    for _ in range(2_000):
        if wire.calls[number].over:
            break
        wire.pump()
    return wire.calls[number].data


async def test_a_large_answer_arrives_whole() -> None:
    wire = Wire(predictions=FakePredictions(reply=_large)).greet()
    number = wire.ask()
    assert wire.budget.used > len(VALUES)
    message = _read(wire, number)
    assert ModelInferResponse.FromString(message[5:]).raw_output_contents == [VALUES]
    assert int.from_bytes(message[1:5], "big") == len(message) - 5
    assert (wire.calls[number].status, wire.budget.used) == (Code.OK, 0)


async def test_large_answers_of_a_stream_arrive_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    # To carry several of 5 MB through a window of 64 KB takes this test's client seconds.
    monkeypatch.setattr(rendering, "_JOINED", PIECE)
    monkeypatch.setattr(f"{__name__}.VALUES", VALUES[: 2 * PIECE + 1])
    wire = Wire(predictions=FakePredictions(reply=_large)).greet()
    number = wire.begin(STREAM)
    wire.client.send_data(number, MESSAGE + framed(b"") + MESSAGE, end_stream=True)
    data = _read(wire, number)
    heard = []
    while data:
        size = int.from_bytes(data[1:5], "big")
        heard.append(ModelStreamInferResponse.FromString(data[5 : 5 + size]))
        data = data[5 + size :]
    assert [one.infer_response.raw_output_contents for one in heard] == [[VALUES], [], [VALUES]]
    assert "model_name" in heard[1].error_message
    assert wire.budget.used == 0


async def test_a_caller_who_leaves_a_large_answer_holds_nothing() -> None:
    wire = Wire(predictions=FakePredictions(reply=_large)).greet()
    number = wire.begin(INFER)
    wire.client.send_data(number, MESSAGE, end_stream=True)
    wire.connection.data_received(wire.client.data_to_send())
    assert wire.connection.queued(number) > 4 * MB
    wire.client.reset_stream(number, 8)
    wire.connection.data_received(wire.client.data_to_send())
    assert (wire.connection.queued(number), wire.budget.used) == (0, 0)
