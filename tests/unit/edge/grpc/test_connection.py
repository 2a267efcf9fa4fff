"""Streams and flow of one connection: bounds, time-outs, and what a client's behaviour costs whom."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.edge.grpc.call_head import understand
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.status import Code
from serving.inference import Answer, Outputs, Request, Tensor, VersionKey
from serving.protocol.open_inference import InferParameter, ModelInferRequest, ModelInferResponse
from serving.testing.predictions import FakePredictions, mean_answer
from tests.unit.edge.grpc.messages import floats, request, with_parameters
from tests.unit.edge.grpc.wire import INFER, STREAM, Ended, Wire, headers_of

MESSAGE = framed(request().SerializeToString())


def large(asked: Request) -> Answer:
    """An answer of 1 MB, which no client's window takes at once."""
    tensors = (Tensor("y", "UINT8", (1, 1 << 20), bytes(1 << 20)),)
    return Answer(Outputs(tensors), 0, 1, False, VersionKey(asked.model, 3), "stable", 0.0, 0.0)


async def test_an_answer_ends_its_stream_and_nothing_is_held() -> None:
    wire = Wire().greet()
    ended = wire.calls[wire.ask()]
    assert (ended.status, ended.over) == (Code.OK, True)
    assert ModelInferResponse.FromString(ended.data[5:]).raw_output_contents[0] == floats(3)
    assert wire.budget.used == 0


async def test_a_request_is_counted_until_its_answer_has_left() -> None:
    wire = Wire(predictions=FakePredictions(hold=True)).greet()
    number = wire.ask()
    assert wire.budget.used == len(MESSAGE) - 5
    wire.predictions.release()
    await asyncio.sleep(0)
    wire.take()
    assert wire.calls[number].status is not None
    assert wire.budget.used == 0


async def test_a_call_may_end_with_trailers_of_its_own() -> None:
    wire = Wire().greet()
    for path in (INFER, STREAM):
        number = wire.begin(path)
        wire.client.send_data(number, MESSAGE)
        wire.pump()
        wire.client.send_trailers(number, [(b"x-checksum", b"7")])
        wire.pump()
        assert (wire.calls[number].status, wire.calls[number].over) == (Code.OK, True)
    assert len(wire.predictions.accepted) == 2
    assert wire.connection.idle_since is not None


@pytest.mark.parametrize("path", [INFER, STREAM])
async def test_a_requests_priority_and_its_time_reach_the_request_path(path: bytes) -> None:
    wire = Wire().greet()
    asked = with_parameters(
        request(), priority=InferParameter(uint64_param=2), timeout=InferParameter(int64_param=500_000)
    )
    number = wire.begin(path)
    wire.client.send_data(number, framed(asked.SerializeToString()), end_stream=True)
    wire.pump()
    (accepted,) = wire.predictions.accepted
    assert (accepted.priority, accepted.timeout_s) == (2, 0.5)


async def test_a_streams_request_is_held_no_more_when_it_was_answered() -> None:
    wire = Wire(predictions=FakePredictions(hold=True)).greet()
    number = wire.begin(STREAM)
    wire.client.send_data(number, MESSAGE * 3)
    wire.pump()
    assert wire.budget.used == 3 * (len(MESSAGE) - 5)
    first, _second, _third = wire.predictions.held
    first.reply(mean_answer(first))
    await asyncio.sleep(0)
    wire.take()
    assert wire.budget.used == 2 * (len(MESSAGE) - 5)
    wire.predictions.release()
    await asyncio.sleep(0)
    wire.take()
    assert (wire.calls[number].over, wire.budget.used) == (False, 0)


async def test_answers_of_one_batch_leave_in_one_write() -> None:
    wire = Wire(predictions=FakePredictions(hold=True)).greet()
    numbers = [wire.ask() for _ in range(5)]
    wire.transport.written.clear()
    wire.predictions.release()
    await asyncio.sleep(0)
    assert len(wire.transport.written) == 1
    wire.take()
    assert all(wire.calls[number].status == Code.OK for number in numbers)


async def test_a_call_that_is_refused_early_has_its_answer_before_its_reset() -> None:
    wire = Wire(GrpcLimits(max_message_mb=1)).greet()
    number = wire.begin()
    wire.client.send_data(number, b"\0\x7f\0\0\0")
    wire.pump()
    ended = wire.calls[number]
    assert (ended.status, ended.reset) == (Code.RESOURCE_EXHAUSTED, 0)
    assert wire.calls[wire.ask()].status == Code.OK


async def test_a_message_that_does_not_arrive_is_refused_in_time() -> None:
    wire = Wire(GrpcLimits(body_s=10)).greet()
    number = wire.begin()
    wire.client.send_data(number, MESSAGE[:7])
    wire.pump()
    wire.sweep(9.9)
    assert wire.calls[number].status == -1
    wire.sweep(0.2)
    assert wire.calls[number].status == Code.DEADLINE_EXCEEDED
    wire.pump()
    assert wire.budget.used == 0


async def test_an_answer_that_is_not_taken_ends_its_call_and_no_other() -> None:
    wire = Wire(GrpcLimits(write_stall_s=10), FakePredictions(reply=large)).greet()
    number = wire.begin()
    wire.client.send_data(number, MESSAGE, end_stream=True)
    # The client's window is full after 64 kB, and it does not read on.
    wire.connection.data_received(wire.client.data_to_send())
    assert wire.budget.used > 1 << 20
    # What its window took is progress, noticed by the next sweep.
    wire.connection.sweep(wire.now)
    wire.now += 10
    wire.connection.sweep(wire.now)
    assert wire.budget.used > 1 << 20
    wire.now += 0.25
    wire.connection.sweep(wire.now)
    assert wire.budget.used == 0
    assert not wire.transport.closed


async def test_an_answer_that_is_taken_slowly_is_not_cut() -> None:
    wire = Wire(GrpcLimits(write_stall_s=10, min_read_kb_s=4), FakePredictions(reply=large)).greet()
    number = wire.begin()
    wire.client.send_data(number, MESSAGE, end_stream=True)
    wire.connection.data_received(wire.client.data_to_send())
    while not wire.calls[number].over:
        wire.sweep(9)
        # What was read opens the window by as much again.
        wire.pump()
    assert (wire.calls[number].status, wire.calls[number].reset, wire.budget.used) == (Code.OK, None, 0)
    assert len(wire.calls[number].data) > 1 << 20
    assert wire.now > 150


async def test_a_client_that_takes_nothing_is_left() -> None:
    wire = Wire(GrpcLimits(write_stall_s=10)).greet()
    wire.connection.pause_writing()
    assert not wire.transport.reading
    wire.sweep(9)
    assert not wire.transport.closed
    wire.sweep(2)
    assert wire.transport.closed


async def test_writing_goes_on_when_the_client_reads_again() -> None:
    wire = Wire(predictions=FakePredictions(hold=True)).greet()
    number = wire.ask()
    wire.connection.pause_writing()
    wire.predictions.release()
    await asyncio.sleep(0)
    assert wire.transport.written == []
    wire.connection.resume_writing()
    await asyncio.sleep(0)
    wire.take()
    assert wire.calls[number].status == Code.OK
    assert wire.transport.reading


async def test_an_idle_connection_is_told_before_it_is_closed() -> None:
    wire = Wire(GrpcLimits(idle_s=60)).greet()
    wire.ask()
    wire.sweep(59)
    assert wire.goodbyes == []
    wire.sweep(2)
    assert wire.goodbyes == [2**31 - 1]
    assert not wire.transport.closed
    # Its word that it has heard.
    wire.pump()
    assert wire.transport.closed


async def test_who_says_nothing_has_three_seconds_to_hear_that_it_is_to_leave() -> None:
    wire = Wire(GrpcLimits(idle_s=60)).greet()
    wire.ask()
    wire.sweep(61)
    # Also where a sweep comes just then.
    wire.sweep(0.25)
    wire.sweep(2.5)
    assert wire.goodbyes == [2**31 - 1]
    assert not wire.transport.closed
    wire.sweep(0.25)
    assert wire.transport.closed


async def test_calls_that_began_before_the_goodbye_was_heard_are_taken_however_late_they_come() -> None:
    wire = Wire(GrpcLimits(), FakePredictions(hold=True)).greet()
    first = wire.ask()
    wire.connection.say_goodbye()
    second = wire.client.send_request(headers_of(INFER))
    wire.calls[second] = Ended()
    wire.client.send_data(second, MESSAGE, end_stream=True)
    # It has left its client before that reads the goodbye.
    on_its_way = wire.client.data_to_send()
    wire.sweep(2.9)
    assert wire.goodbyes == [2**31 - 1]
    wire.connection.data_received(on_its_way)
    wire.pump()
    assert wire.goodbyes == [2**31 - 1, second]
    wire.predictions.release()
    await asyncio.sleep(0)
    wire.take()
    assert [wire.calls[number].status for number in (first, second)] == [Code.OK, Code.OK]
    assert wire.transport.closed


async def test_a_connection_with_calls_is_not_idle() -> None:
    wire = Wire(GrpcLimits(idle_s=60), FakePredictions(hold=True)).greet()
    wire.ask()
    wire.sweep(1000)
    assert wire.goodbyes == []


async def test_a_connection_grows_only_so_old() -> None:
    wire = Wire(GrpcLimits(max_age_s=60), FakePredictions(hold=True)).greet()
    number = wire.ask()
    wire.sweep(61)
    wire.pump()
    assert wire.goodbyes == [2**31 - 1, 1]
    assert not wire.transport.closed
    wire.predictions.release()
    await asyncio.sleep(0)
    wire.take()
    assert wire.calls[number].status == Code.OK
    assert wire.transport.closed


async def test_a_client_that_says_nothing_is_left() -> None:
    wire = Wire(GrpcLimits(head_s=10))
    assert wire.transport.written == []
    wire.sweep(9)
    assert not wire.transport.closed
    wire.sweep(2)
    assert wire.transport.closed


@pytest.mark.parametrize(("connections", "taken"), [(1, True), (2, True), (3, False)])
async def test_so_many_connections_are_taken_and_idle_ones_make_room(connections: int, taken: bool) -> None:
    wire = Wire(GrpcLimits(max_connections=2), FakePredictions(hold=True)).greet()
    wire.ask()
    for _ in range(connections - 1):
        # Another busy one each time.
        wire.client = type(wire)(predictions=wire.predictions).client
        wire.join()
        wire.greet()
        if not wire.transport.closed:
            wire.ask()
    assert wire.transport.closed is not taken


@pytest.mark.parametrize(("more", "taken"), [(-1, True), (0, True), (1, False)])
async def test_metadata_may_have_so_many_bytes(more: int, taken: bool) -> None:
    wire = Wire(GrpcLimits(max_head_bytes=1400)).greet()
    own = understand((*headers_of(INFER), (b"x-large", b""))).size
    ended = wire.calls[wire.ask((b"x-large", b"a" * (1400 - own + more)))]
    assert ended.status == (Code.OK if taken else Code.RESOURCE_EXHAUSTED)
    assert (b"grpc.max_head_bytes" in ended.headers.get(b"grpc-message", b"")) is not taken
    assert wire.calls[wire.ask()].status == Code.OK


@pytest.mark.parametrize(("count", "taken"), [(19, True), (20, True), (21, False)])
async def test_metadata_may_have_so_many_entries(count: int, taken: bool) -> None:
    wire = Wire(GrpcLimits(max_headers=20)).greet()
    more = [(b"x-%d" % number, b"") for number in range(count - len(headers_of(INFER)))]
    assert wire.calls[wire.ask(*more)].status == (Code.OK if taken else Code.RESOURCE_EXHAUSTED)
    assert wire.calls[wire.ask()].status == Code.OK


async def test_endless_metadata_ends_its_connection() -> None:
    wire = Wire(GrpcLimits(max_head_bytes=1400)).greet()
    wire.ask((b"x-large", b"a" * 8000))
    assert wire.transport.closed


async def test_metadata_of_very_many_entries_ends_its_connection() -> None:
    # However few bytes they have.
    wire = Wire(GrpcLimits(max_headers=20, max_head_bytes=1 << 20)).greet()
    wire.ask(*[(b"a", b"")] * 100)
    assert wire.transport.closed


@pytest.mark.parametrize(("cancelled", "cut"), [(490, False), (1000, True)])
async def test_a_flood_of_resets_costs_its_connection(cancelled: int, cut: bool) -> None:
    wire = Wire(GrpcLimits(max_resets_per_s=50), FakePredictions(hold=True)).greet()
    for _ in range(cancelled):
        if wire.transport.closed or wire.goodbyes:
            break
        number = wire.begin()
        wire.client.reset_stream(number, 8)
        wire.pump()
    assert bool(wire.transport.closed or wire.goodbyes) is cut
    assert not any(asked.waiting for asked in wire.predictions.held)


async def test_calls_whose_time_is_over_are_cancelled_and_cost_nothing_else() -> None:
    wire = Wire(predictions=FakePredictions(hold=True)).greet()
    kept = wire.ask()
    for _ in range(2000):
        wire.client.reset_stream(wire.ask(), 8)
        wire.pump()
    wire.predictions.release()
    await asyncio.sleep(0)
    wire.take()
    assert wire.calls[kept].status == Code.OK


async def test_a_stream_ends_with_an_error_where_its_framing_does() -> None:
    wire = Wire().greet()
    number = wire.begin(STREAM)
    wire.client.send_data(number, MESSAGE + b"\7\0\0\0\0")
    wire.pump()
    ended = wire.calls[number]
    assert (ended.status, ended.reset, wire.budget.used) == (Code.INVALID_ARGUMENT, 0, 0)


async def test_a_call_without_a_message_or_with_two_is_refused() -> None:
    wire = Wire().greet()
    for sent in (b"", MESSAGE[:9], MESSAGE + MESSAGE):
        number = wire.begin(INFER)
        wire.client.send_data(number, sent, end_stream=True)
        wire.pump()
        assert wire.calls[number].status == Code.INVALID_ARGUMENT


@pytest.mark.parametrize(("last", "status"), [(b"\1\0\0\0a", Code.OK), (b"\1\0\0\0\xff", Code.INVALID_ARGUMENT)])
@pytest.mark.parametrize("path", [INFER, STREAM])
async def test_many_strings_are_looked_at_in_turns(last: bytes, status: Code, path: bytes) -> None:
    wire = Wire(predictions=FakePredictions(reply=large)).greet()
    count = 20_000
    asked = ModelInferRequest(model_name="mlp", raw_input_contents=[b"\1\0\0\0b" * (count - 1) + last])
    asked.inputs.add(name="input", datatype="BYTES", shape=[1, count])
    number = wire.begin(path)
    wire.client.send_data(number, framed(asked.SerializeToString()), end_stream=True)
    for _ in range(4):
        wire.pump()
    assert wire.predictions.accepted == []
    for _ in range(200):
        await asyncio.sleep(0)
        wire.pump()
    assert len(wire.predictions.accepted) == (status == Code.OK)
    if path == INFER:
        assert wire.calls[number].status == status
    else:
        assert (b"is not UTF-8" in wire.calls[number].data) == (status != Code.OK)
    wire.lose()
    assert wire.budget.used == 0


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_cost_no_more_than_their_connection(data: bytes, greeted: bool) -> None:
    async def use() -> None:
        wire = Wire()
        if greeted:
            wire.greet()
        wire.connection.data_received(data)
        wire.lose()
        assert wire.budget.used == 0
        assert not wire.edge.connections

    asyncio.run(use())
