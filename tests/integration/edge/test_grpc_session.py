"""What is asked of the whole session over gRPC: configuration, statistics, the repository, and what there is."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from serving.protocol.open_inference import (
    ModelConfigRequest,
    ModelConfigResponse,
    ModelRepositoryParameter,
    ModelStatisticsRequest,
    ModelStatisticsResponse,
    RepositoryIndexRequest,
    RepositoryIndexResponse,
    RepositoryModelLoadRequest,
    RepositoryModelLoadResponse,
    RepositoryModelUnloadRequest,
    RepositoryModelUnloadResponse,
    ServerMetadataRequest,
    ServerMetadataResponse,
)
from serving.request_path.administration import LoadOrder
from serving.testing.administration import TOKEN, FakeAdministration
from serving.testing.predictions import FakePredictions
from tests.integration.edge.grpc_edge import SERVICE, Edge, failure, run, unary

BEARER = (("authorization", f"Bearer {TOKEN}"),)


def session(*, is_open: bool = True) -> tuple[FakePredictions, FakeAdministration]:
    predictions, administration = FakePredictions(), FakeAdministration(is_open=is_open)
    predictions.administration = administration
    return predictions, administration


def call(edge: Edge, method: str, answer: Any) -> Any:
    return unary(edge.channel(), f"{SERVICE}{method}", answer)


def test_the_configuration_is_the_extensions() -> None:
    async def use(edge: Edge) -> None:
        config = (await call(edge, "ModelConfig", ModelConfigResponse)(ModelConfigRequest(name="mlp"))).config
        assert (config.name, config.platform, config.backend) == ("mlp", "onnxruntime_onnx", "onnxruntime")
        assert [(one.name, one.data_type) for one in config.input] == [("input", 11)]
        assert list(config.version_policy.specific.versions) == [1, 2, 3]
        error = await failure(call(edge, "ModelConfig", ModelConfigResponse)(ModelConfigRequest(name="nope")))
        assert error.code() is grpc.StatusCode.NOT_FOUND

    run(use)


def test_statistics_count_rows_and_batches() -> None:
    predictions, _ = session()

    async def use(edge: Edge) -> None:
        ask = call(edge, "ModelStatistics", ModelStatisticsResponse)
        (found,) = (await ask(ModelStatisticsRequest(name="mlp", version="3"))).model_stats
        assert (found.name, found.version, found.inference_count, found.execution_count) == ("mlp", "3", 6, 2)
        assert (found.last_inference, found.inference_stats.success.ns) == (1_700_000_000_250, 6_000_000)
        assert len(found.batch_stats) > 0

    run(use, predictions=predictions)


def test_the_index_lists_what_is_there_or_what_is_ready() -> None:
    predictions, administration = session()

    async def use(edge: Edge) -> None:
        ask = call(edge, "RepositoryIndex", RepositoryIndexResponse)
        entries = await administration.index()
        everything = await ask(RepositoryIndexRequest())
        assert [(m.name, m.version, m.state, m.reason) for m in everything.models] == [
            (e.model, e.version, e.state, e.reason) for e in entries
        ]
        ready = await ask(RepositoryIndexRequest(ready=True))
        assert {m.state for m in ready.models} == {"READY"}
        assert 0 < len(ready.models) < len(everything.models)

    run(use, predictions=predictions)


def test_only_the_tokens_owner_loads_and_unloads() -> None:
    predictions, administration = session()

    async def use(edge: Edge) -> None:
        load = call(edge, "RepositoryModelLoad", RepositoryModelLoadResponse)
        unload = call(edge, "RepositoryModelUnload", RepositoryModelUnloadResponse)
        order = RepositoryModelLoadRequest(model_name="m")
        order.parameters["config"].string_param = "{}"
        order.parameters["file:1/model.onnx"].bytes_param = b"onnx"
        assert (await failure(load(order))).code() is grpc.StatusCode.UNAUTHENTICATED
        assert (await failure(unload(RepositoryModelUnloadRequest(model_name="m")))).code() is (
            grpc.StatusCode.UNAUTHENTICATED
        )
        await load(order, metadata=BEARER)
        assert administration.loaded == [LoadOrder("m", "{}", {"1/model.onnx": b"onnx"})]
        gone = RepositoryModelUnloadRequest(model_name="m")
        gone.parameters["unload_dependents"].bool_param = True
        await unload(gone, metadata=BEARER)
        assert administration.unloaded == ["m"]

    run(use, predictions=predictions)


@pytest.mark.parametrize("name", ["config", "file:1/model.onnx", "other"])
def test_a_parameter_of_another_kind_is_refused(name: str) -> None:
    predictions, administration = session()

    async def use(edge: Edge) -> None:
        order = RepositoryModelLoadRequest(model_name="m")
        order.parameters[name].CopyFrom(ModelRepositoryParameter(int64_param=1))
        error = await failure(call(edge, "RepositoryModelLoad", RepositoryModelLoadResponse)(order, metadata=BEARER))
        assert (error.code(), f"got {name!r} as int64_param" in (error.details() or "")) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            True,
        )
        assert administration.loaded == []

    run(use, predictions=predictions)


@pytest.mark.parametrize("is_open", [True, False])
def test_changes_are_advertised_only_where_they_can_be_made(is_open: bool) -> None:
    predictions, _ = session(is_open=is_open)

    async def use(edge: Edge) -> None:
        told = await call(edge, "ServerMetadata", ServerMetadataResponse)(ServerMetadataRequest())
        assert ("model_repository" in told.extensions) is is_open

    run(use, predictions=predictions)


def test_reflection_lists_the_services_and_describes_their_messages() -> None:
    async def use(edge: Edge) -> None:
        def reflect() -> tuple[set[str], set[str], set[str]]:
            with grpc.insecure_channel(edge.target) as channel:
                known = ProtoReflectionDescriptorDatabase(channel)
                pool = DescriptorPool(known)
                service = pool.FindServiceByName("inference.GRPCInferenceService")
                asked = pool.FindMessageTypeByName("inference.ModelInferRequest")
                return set(known.get_services()), set(service.methods_by_name), set(asked.fields_by_name)

        services, methods, fields = await asyncio.to_thread(reflect)
        assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= services
        assert {"ModelInfer", "ModelStreamInfer", "ModelStatistics", "RepositoryModelLoad"} <= methods
        assert "raw_input_contents" in fields

    run(use)


def test_every_method_that_is_described_is_served() -> None:
    from serving.edge.grpc.methods import METHODS
    from serving.edge.grpc.reflection import SERVICES
    from serving.protocol.descriptors import POOL

    described = {
        f"/{service}/{method}"
        for service in SERVICES
        if "v1alpha" not in service
        for method in POOL.FindServiceByName(service).methods_by_name
    }
    assert described == {path for path in METHODS if "v1alpha" not in path}
