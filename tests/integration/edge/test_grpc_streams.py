"""The gRPC edge on real sockets: streams, health, and the end of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from serving.edge.grpc.limits import GrpcLimits
from serving.errors import NotReady
from serving.protocol.health import HealthCheckRequest, HealthCheckResponse
from serving.protocol.open_inference import (
    ModelInferRequest,
    ModelReadyRequest,
    ModelReadyResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)
from serving.testing.predictions import FakePredictions
from tests.integration.edge.grpc_edge import HEALTH, SERVICE, Edge, failure, run, unary, until
from tests.unit.edge.grpc.messages import floats, request


def test_a_stream_answers_in_the_order_of_its_requests_and_an_error_ends_nothing() -> None:
    async def use(edge: Edge) -> None:
        async def requests() -> AsyncIterator[ModelInferRequest]:
            for number in range(300):
                yield request(id=str(number), model_version="none" if number == 7 else "")

        answers = [answer async for answer in edge.stream()(requests())]
        assert [answer.infer_response.id for answer in answers if not answer.error_message] == [
            str(number) for number in range(300) if number != 7
        ]
        assert "a version is a whole number" in answers[7].error_message
        assert answers[0].infer_response.parameters["triton_final_response"].bool_param

    run(use)


def test_answers_of_a_stream_wait_for_those_before_them() -> None:
    async def use(edge: Edge) -> None:
        call = edge.stream()()
        for number in range(3):
            await call.write(request(id=str(number)))
        await until(lambda: len(edge.predictions.held) == 3)
        for asked in reversed(edge.predictions.held):
            asked.reply(edge.predictions.reply(asked))
        assert [(await call.read()).infer_response.id for _ in range(3)] == ["0", "1", "2"]
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK

    run(use, predictions=FakePredictions(hold=True))


def test_a_stream_has_so_many_requests_in_flight_and_holds_its_client_up() -> None:
    async def use(edge: Edge) -> None:
        asked = ModelInferRequest(model_name="mlp", raw_input_contents=[bytes(1 << 20)])
        asked.inputs.add(name="input", datatype="FP32", shape=[1, 1 << 18])
        written = 0

        async def requests() -> AsyncIterator[ModelInferRequest]:
            nonlocal written
            for _ in range(40):
                yield asked
                written += 1

        call = edge.stream()(requests())
        await until(lambda: len(edge.predictions.held) == 4)
        await asyncio.sleep(0.3)
        assert len(edge.predictions.held) == 4
        assert written < 20
        edge.predictions.hold = False
        edge.predictions.release()
        assert len([answer async for answer in call]) == 40

    run(use, GrpcLimits(max_stream_in_flight=4), FakePredictions(hold=True))


def test_a_stream_that_is_cancelled_leaves_all_its_requests() -> None:
    async def use(edge: Edge) -> None:
        call = edge.stream()()
        for _ in range(3):
            await call.write(request())
        await until(lambda: len(edge.predictions.held) == 3)
        call.cancel()
        await until(lambda: not any(asked.waiting for asked in edge.predictions.held))

    run(use, predictions=FakePredictions(hold=True))


def test_readiness_is_told_by_both_services() -> None:
    async def use(edge: Edge) -> None:
        channel = edge.channel()
        ready = unary(channel, f"{SERVICE}ServerReady", ServerReadyResponse)
        model = unary(channel, f"{SERVICE}ModelReady", ModelReadyResponse)
        check = unary(channel, f"{HEALTH}Check", HealthCheckResponse)
        assert (await ready(ServerReadyRequest())).ready
        assert (await model(ModelReadyRequest(name="mlp"))).ready
        for service in ("", "inference.GRPCInferenceService", "mlp"):
            assert (await check(HealthCheckRequest(service=service))).status == HealthCheckResponse.SERVING
        edge.predictions.is_ready = False
        assert not (await ready(ServerReadyRequest())).ready
        assert (await check(HealthCheckRequest())).status == HealthCheckResponse.NOT_SERVING
        for unknown in (model(ModelReadyRequest(name="nope")), check(HealthCheckRequest(service="nope"))):
            assert (await failure(unknown)).code() is grpc.StatusCode.NOT_FOUND

    run(use)


def test_a_watch_hears_of_every_change() -> None:
    async def use(edge: Edge) -> None:
        watch = edge.channel().unary_stream(
            f"{HEALTH}Watch",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        server, unknown = watch(HealthCheckRequest()), watch(HealthCheckRequest(service="nope"))
        assert (await server.read()).status == HealthCheckResponse.SERVING
        assert (await unknown.read()).status == HealthCheckResponse.SERVICE_UNKNOWN
        edge.predictions.is_ready = False
        assert (await server.read()).status == HealthCheckResponse.NOT_SERVING

    run(use, GrpcLimits(sweep_s=0.02))


def test_a_drain_answers_what_was_asked_and_sends_clients_elsewhere() -> None:
    async def use(edge: Edge) -> None:
        infer = edge.infer()
        asking = asyncio.gather(*(infer(request()) for _ in range(5)))
        await until(lambda: len(edge.predictions.held) == 5)
        draining = asyncio.create_task(edge.server.drain(10.0))
        await asyncio.sleep(0.5)
        edge.predictions.release()
        assert [answer.raw_output_contents[0] for answer in await asking] == [floats(3)] * 5
        await draining
        assert edge.server.connections == 0

    run(use, predictions=FakePredictions(hold=True))


def test_a_drain_ends_streams_once_their_requests_are_answered() -> None:
    async def use(edge: Edge) -> None:
        call = edge.stream()()
        await call.write(request())
        await until(lambda: len(edge.predictions.held) == 1)
        draining = asyncio.create_task(edge.server.drain(10.0))
        await asyncio.sleep(0.4)
        edge.predictions.release()
        assert (await call.read()).infer_response.raw_output_contents[0] == floats(3)
        await draining
        assert await call.code() is grpc.StatusCode.UNAVAILABLE

    run(use, predictions=FakePredictions(hold=True))


def test_a_model_that_is_not_ready_says_so() -> None:
    async def use(edge: Edge) -> None:
        def describe(model: str, version: int | None) -> Any:
            raise NotReady("not yet")

        edge.predictions.describe = describe  # type: ignore[method-assign]
        model = unary(edge.channel(), f"{SERVICE}ModelReady", ModelReadyResponse)
        assert not (await model(ModelReadyRequest(name="mlp"))).ready

    run(use)
