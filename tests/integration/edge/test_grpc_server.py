"""The gRPC edge on real sockets: calls of one message."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import pytest

from serving.edge.grpc.limits import GrpcLimits
from serving.errors import Overloaded
from serving.inference import CallerContext
from serving.protocol.open_inference import (
    ModelInferRequest,
    ModelInferResponse,
)
from serving.testing.predictions import FakePredictions
from tests.integration.edge.grpc_edge import SERVICE, Edge, failure, run, unary, until
from tests.unit.edge.grpc.messages import floats, request


def test_a_prediction_has_its_values_its_id_and_its_metadata() -> None:
    async def use(edge: Edge) -> None:
        call = edge.infer()(request(id="a"), metadata=(("x-sluice-key", "k"), ("x-sluice-variant", "stable")))
        answer = await call
        assert (answer.model_name, answer.model_version, answer.id) == ("mlp", "3", "a")
        assert [(o.name, o.datatype, list(o.shape)) for o in answer.outputs] == [("mean", "FP32", [1, 1])]
        assert list(answer.raw_output_contents) == [floats(3)]
        began, ended = dict(await call.initial_metadata()), dict(await call.trailing_metadata())
        assert (began["x-sluice-variant"], began["x-sluice-version"]) == ("stable", "3")
        assert ended["server-timing"] == "queue;dur=0.100, run;dur=0.200"
        accepted = edge.predictions.accepted[0]
        assert (accepted.key, accepted.pinned) == (b"k", "stable")

    run(use)


def test_many_calls_on_one_connection_each_get_their_own_answer() -> None:
    async def use(edge: Edge) -> None:
        infer = edge.infer()

        async def ask(value: int) -> None:
            asked = request(id=str(value))
            asked.raw_input_contents[0] = floats(value, value, value, value)
            answer = await infer(asked)
            assert (answer.id, answer.raw_output_contents[0]) == (str(value), floats(value))

        await asyncio.gather(*(ask(value) for value in range(1000)))

    run(use)


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_compressed_request_is_taken(compression: grpc.Compression) -> None:
    async def use(edge: Edge) -> None:
        answer = await edge.infer()(request(), compression=compression)
        assert answer.raw_output_contents[0] == floats(3)

    run(use)


def test_an_error_has_its_status_its_text_and_when_to_try_again() -> None:
    async def use(edge: Edge) -> None:
        edge.predictions.reply = lambda asked: Overloaded("the queue of 'mlp' is fühl 100%", retry_after_s=1.5)
        error = await failure(edge.infer()(request()))
        assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "the queue of 'mlp' is fühl 100%")
        trailing = dict(error.trailing_metadata())
        assert (trailing["retry-after"], trailing["grpc-retry-pushback-ms"]) == ("2", "1500")

    run(use)


def test_a_method_that_is_not_served_is_unimplemented() -> None:
    async def use(edge: Edge) -> None:
        call = unary(edge.channel(), f"{SERVICE}Nothing", ModelInferResponse)
        error = await failure(call(request(), metadata=(("x-request-id", "r-17"),)))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        assert edge.observer.refusals == [("", "unknown_path")]
        assert edge.observer.contexts == [CallerContext(request_id=b"r-17")]

    run(use)


@pytest.mark.parametrize(("size", "taken"), [(4095, True), (4096, True), (4097, False)])
def test_a_message_may_be_as_large_as_configured(size: int, taken: bool) -> None:
    async def use(edge: Edge) -> None:
        asked = request(id="x" * (size - request(id="x" * 3000).ByteSize() + 3000))
        assert asked.ByteSize() == size
        call = edge.infer()(asked)
        if taken:
            assert (await call).id == asked.id
        else:
            error = await failure(call)
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "grpc.max_message_mb" in (error.details() or "")

    run(use, GrpcLimits(max_message_mb=4096 / (1 << 20)))


def test_large_messages_go_both_ways() -> None:
    async def use(edge: Edge) -> None:
        rows = 1_000_000
        asked = ModelInferRequest(model_name="mlp", raw_input_contents=[floats(5) * rows])
        asked.inputs.add(name="input", datatype="FP32", shape=[rows, 1])
        answer = await edge.infer()(asked)
        assert answer.raw_output_contents[0] == floats(5) * rows

    run(use)


def test_a_message_that_would_not_fit_into_the_budget_is_refused_before_it_is_read() -> None:
    async def use(edge: Edge) -> None:
        asked = ModelInferRequest(model_name="mlp", raw_input_contents=[bytes(3 << 20)])
        asked.inputs.add(name="input", datatype="FP32", shape=[3, 1 << 18])
        error = await failure(edge.infer()(asked))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "http.in_flight_mb" in (error.details() or "")
        assert (await edge.infer()(request())).raw_output_contents[0] == floats(3)

    run(use, budget=2 << 20)


def test_the_deadline_of_a_call_reaches_the_request() -> None:
    async def use(edge: Edge) -> None:
        asked = request()
        asked.parameters["timeout"].int64_param = 60_000_000
        await edge.infer()(asked, timeout=5)
        asked.parameters["timeout"].int64_param = 1_000_000
        await edge.infer()(asked, timeout=5)
        await edge.infer()(request())
        first, second, third = [accepted.timeout_s for accepted in edge.predictions.accepted]
        assert first is not None
        assert 0 < first < 6
        assert (second, third) == (1.0, None)

    run(use)


def test_a_caller_who_cancels_leaves_and_the_others_are_answered() -> None:
    async def use(edge: Edge) -> None:
        infer = edge.infer()
        leaving, staying = infer(request()), infer(request())
        asking = asyncio.gather(leaving, staying, return_exceptions=True)
        await until(lambda: len(edge.predictions.held) == 2)
        leaving.cancel()
        await until(lambda: any(not asked.waiting for asked in edge.predictions.held))
        edge.predictions.release()
        left, stayed = await asking
        assert isinstance(left, asyncio.CancelledError)
        assert isinstance(stayed, ModelInferResponse)
        assert stayed.raw_output_contents[0] == floats(3)

    run(use, predictions=FakePredictions(hold=True))


def test_a_client_that_goes_away_leaves_all_its_calls() -> None:
    async def use(edge: Edge) -> None:
        channel = edge.channel()
        infer = edge.infer(channel)
        asking = asyncio.gather(*(infer(request()) for _ in range(3)), return_exceptions=True)
        await until(lambda: len(edge.predictions.held) == 3)
        await channel.close()
        await until(lambda: not any(asked.waiting for asked in edge.predictions.held))
        await asking

    run(use, predictions=FakePredictions(hold=True))


def test_http_1_is_told_where_it_is() -> None:
    async def use(edge: Edge) -> None:
        reader, writer = await asyncio.open_connection(*edge.sock.getsockname())
        writer.write(b"GET /v2 HTTP/1.1\r\nhost: a\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"this port speaks gRPC" in answer
        writer.close()
        await asyncio.sleep(0)

    run(use)


def test_what_is_no_http_2_closes_its_own_connection_and_nothing_else() -> None:
    async def use(edge: Edge) -> None:
        infer = edge.infer()
        await infer(request())
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        for sent in (b"PRI * HTTP/3", preface + b"\xff" * 100, preface + bytes(100), b"PRI"):
            reader, writer = await asyncio.open_connection(*edge.sock.getsockname())
            writer.write(sent)
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
            await asyncio.sleep(0)
        assert (await infer(request())).raw_output_contents[0] == floats(3)

    run(use, GrpcLimits(head_s=0.2, sweep_s=0.02))
