"""What only the session as a whole can answer, and later: statistics and the repository of models."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from serving.edge.grpc.codec import version_of
from serving.edge.grpc.edge import GrpcEdge
from serving.edge.statistics import statistics_document
from serving.errors import BadRequest
from serving.protocol.descriptors import filled
from serving.protocol.open_inference import (
    ModelStatisticsRequest,
    ModelStatisticsResponse,
    RepositoryIndexRequest,
    RepositoryIndexResponse,
    RepositoryModelLoadRequest,
    RepositoryModelLoadResponse,
    RepositoryModelUnloadRequest,
    RepositoryModelUnloadResponse,
)
from serving.request_path.administration import LoadOrder, VersionUsage

_FILE = "file:"


async def statistics(edge: GrpcEdge, asked: ModelStatisticsRequest) -> ModelStatisticsResponse:
    """What versions did in all workers; no name asks for all models."""
    used = await edge.predictions.administration.statistics(asked.name, version_of(asked.version))
    # In a thread: of a thousand versions it is much.
    return await asyncio.to_thread(_statistics, used)


def _statistics(used: Sequence[VersionUsage]) -> ModelStatisticsResponse:
    return filled(ModelStatisticsResponse(), statistics_document(used))


async def index(edge: GrpcEdge, asked: RepositoryIndexRequest) -> RepositoryIndexResponse:
    """Every version that is served or in the repository, or those that are ready."""
    entries = await edge.predictions.administration.index()
    return RepositoryIndexResponse(
        models=[
            RepositoryIndexResponse.ModelIndex(
                name=entry.model, version=entry.version, state=entry.state, reason=entry.reason
            )
            for entry in entries
            if entry.state == "READY" or not asked.ready
        ]
    )


async def load(edge: GrpcEdge, asked: RepositoryModelLoadRequest) -> RepositoryModelLoadResponse:
    """Load a model; who may was asked before."""
    await edge.predictions.administration.load(load_order(asked))
    return RepositoryModelLoadResponse()


async def unload(edge: GrpcEdge, asked: RepositoryModelUnloadRequest) -> RepositoryModelUnloadResponse:
    """Let go every version of a model; see `load`."""
    for name, parameter in asked.parameters.items():
        # No model here depends on another one, so that none of them is left alone either way.
        if name != "unload_dependents" or parameter.WhichOneof("parameter_choice") != "bool_param":
            raise BadRequest(f"unload takes the parameter unload_dependents (bool_param), got {name!r}")
    await edge.predictions.administration.unload(asked.model_name)
    return RepositoryModelUnloadResponse()


def load_order(asked: RepositoryModelLoadRequest) -> LoadOrder:
    """The parameters of a load: a configuration, files, or nothing.

    Raises:
        BadRequest: names the parameter and what would be right.
    """
    config, files = "", {}
    for name, parameter in asked.parameters.items():
        chosen = parameter.WhichOneof("parameter_choice")
        if name == "config" and chosen == "string_param":
            config = parameter.string_param
        elif name.startswith(_FILE) and chosen == "bytes_param":
            files[name.removeprefix(_FILE)] = parameter.bytes_param
        else:
            raise BadRequest(
                f"load takes config (string_param) and file:<version>/<path> (bytes_param), got {name!r} as {chosen}"
            )
    return LoadOrder(asked.model_name, config, files)
