"""What is asked of the whole session over gRPC: configuration, statistics, the repository, and what there is."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from serving.protocol.open_inference import (
    ModelRepositoryParameter,
    RepositoryModelLoadRequest,
    RepositoryModelLoadResponse,
    ServerMetadataRequest,
    ServerMetadataResponse,
)
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
