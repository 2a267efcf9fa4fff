"""Readers over gRPC that read too slowly on the whole, by a count of what waits that the test sets."""

from __future__ import annotations

from typing import ClassVar

import pytest

from serving.edge.grpc.connection import Connection
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.untaken import Untaken
from serving.inference import Answer, Request, Tensor
from serving.testing.predictions import FakePredictions, answer_of
from tests.unit.edge.grpc import wire as wires
from tests.unit.edge.grpc.messages import request
from tests.unit.edge.grpc.wire import INFER, STREAM, Wire

MB = 1 << 20
KB = 1024
MESSAGE = framed(request().SerializeToString())
LIMITS = GrpcLimits(write_stall_s=8, min_read_kb_s=4, sweep_s=1)


class Metered(Connection):
    """Believes the test as to what waits for the client."""

    left: ClassVar[dict[int, int]] = {}

    def queued(self, stream_id: int) -> int:
        return self.left.get(stream_id, 0)


def _large(asked: Request) -> Answer:
    return answer_of(asked, (Tensor("y", "UINT8", (1, MB), bytes(MB)),))


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(wires, "Connection", Metered)
    Metered.left.clear()
    return Wire(LIMITS, FakePredictions(reply=_large)).greet()


def _answered(wire: Wire, path: bytes) -> int:
    """A call whose answer of 1 MB waits."""
    number = wire.begin(path)
    # One byte more, and a stream would not hear the request.
    Metered.left[number] = MB - 1
    wire.client.send_data(number, MESSAGE, end_stream=path == INFER)
    # What is written is not carried to the client, whose windows are full after 64 KB: the calls go on.
    wire.connection.data_received(wire.client.data_to_send())
    return number


def _goes_on(wire: Wire, number: int) -> bool:
    wire.take()
    return wire.calls[number].reset is None


@pytest.mark.parametrize("path", [INFER, STREAM])
@pytest.mark.parametrize(("kb_s", "kept"), [(4, True), (3, False)])
async def test_an_answer_is_kept_at_the_least_rate_and_cut_below_it(
    wire: Wire, path: bytes, kb_s: int, kept: bool
) -> None:
    number = _answered(wire, path)
    for _ in range(30):
        Metered.left[number] -= kb_s * 2 * KB
        wire.sweep(2)
    assert _goes_on(wire, number) is kept
    assert (wire.budget.used > MB) is kept
    assert not wire.transport.closed


async def test_what_many_calls_of_a_connection_take_in_turns_is_fast_enough_together(wire: Wire) -> None:
    numbers = [_answered(wire, path) for path in (INFER, INFER, STREAM, STREAM)]
    for _ in range(60):
        for number in numbers:
            Metered.left[number] -= 2 * KB
        wire.sweep(2)
    assert [_goes_on(wire, number) for number in numbers] == [True] * 4


@pytest.mark.parametrize("path", [INFER, STREAM])
async def test_a_call_that_takes_less_than_its_share_is_cut_whatever_others_take(wire: Wire, path: bytes) -> None:
    slow, fast = _answered(wire, path), _answered(wire, STREAM)
    for _ in range(30):
        Metered.left[slow] -= KB
        Metered.left[fast] -= 20 * KB
        wire.sweep(2)
    assert [_goes_on(wire, number) for number in (slow, fast)] == [False, True]


def test_a_reader_who_has_taken_everything_begins_anew() -> None:
    untaken = Untaken()
    for _ in range(3):
        untaken.add(100, 0.0)
        assert not untaken.too_slow(0.0, 8.0, LIMITS)
        assert untaken.too_slow(0.0, 0.5, LIMITS)
        untaken.look(0, 0.0)
