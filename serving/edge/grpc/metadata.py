"""What the edge answers without a model: health, what is served, and a model's own page."""

from __future__ import annotations

from serving.edge.grpc.codec import version_of
from serving.edge.grpc.edge import GrpcEdge
from serving.errors import NotReady
from serving.inference import TensorSpec
from serving.protocol.descriptors import filled
from serving.protocol.open_inference import (
    ModelConfigRequest,
    ModelConfigResponse,
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelReadyRequest,
    ModelReadyResponse,
    ServerLiveRequest,
    ServerLiveResponse,
    ServerMetadataRequest,
    ServerMetadataResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)
from serving.request_path.model_config import model_config

_NAME = "sluice"
# Only what is true: a test asks each of them for something.
_EXTENSIONS = ("parameters", "schedule_policy", "model_configuration", "statistics")
# True where the session's token opens the port for changes (http.repository_api).
_WITH_TOKEN = ("model_repository",)


def server_live(_edge: GrpcEdge, _asked: ServerLiveRequest) -> ServerLiveResponse:
    """It answers."""
    return ServerLiveResponse(live=True)


def server_ready(edge: GrpcEdge, _asked: ServerReadyRequest) -> ServerReadyResponse:
    """Whether every routed version can run now, and the worker stays."""
    return ServerReadyResponse(ready=ready(edge))


def model_ready(edge: GrpcEdge, asked: ModelReadyRequest) -> ModelReadyResponse:
    """Whether the version can run now; raises UnknownModel."""
    return ModelReadyResponse(ready=model_is_ready(edge, asked.name, version_of(asked.version)))


def server_metadata(edge: GrpcEdge, _asked: ServerMetadataRequest) -> ServerMetadataResponse:
    """Name, release, and the extensions that are served."""
    opened = _WITH_TOKEN if edge.predictions.administration.open else ()
    return ServerMetadataResponse(name=_NAME, version=edge.release, extensions=[*_EXTENSIONS, *opened])


def model_metadata(edge: GrpcEdge, asked: ModelMetadataRequest) -> ModelMetadataResponse:
    """A version's inputs and outputs; raises UnknownModel, NotReady."""
    described = edge.predictions.describe(asked.name, version_of(asked.version))
    return ModelMetadataResponse(
        name=described.model,
        versions=[str(version) for version in described.versions],
        platform=described.platform,
        inputs=[_spec(spec) for spec in described.signature.all_inputs],
        outputs=[_spec(spec) for spec in described.signature.outputs],
    )


def model_configuration(edge: GrpcEdge, asked: ModelConfigRequest) -> ModelConfigResponse:
    """How a version is run, in the extension's words; raises UnknownModel, NotReady."""
    described = edge.predictions.describe(asked.name, version_of(asked.version))
    return filled(ModelConfigResponse(), {"config": model_config(described)})


def ready(edge: GrpcEdge) -> bool:
    """The worker can predict, and stays."""
    return edge.predictions.ready() and not edge.draining


def model_is_ready(edge: GrpcEdge, model: str, version: int | None) -> bool:
    """Whether the version that answers can run now; raises UnknownModel."""
    try:
        return edge.predictions.describe(model, version).ready
    except NotReady:
        return False


def _spec(spec: TensorSpec) -> ModelMetadataResponse.TensorMetadata:
    return ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype, shape=spec.shape)
