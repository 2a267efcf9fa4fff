"""What is served at which path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from serving.edge.grpc import health, metadata, orders
from serving.edge.grpc.call import Handler
from serving.edge.grpc.call_head import CallHead
from serving.edge.grpc.edge import GrpcEdge
from serving.edge.grpc.extent import parsed_plain
from serving.edge.grpc.health import Watch
from serving.edge.grpc.infer_stream import InferStream
from serving.edge.grpc.reflection import Reflection
from serving.edge.grpc.stream_call import Conversation, StreamCall
from serving.inference import Buffer
from serving.protocol import health as health_messages
from serving.protocol import open_inference as messages


class Method(NamedTuple):
    """A unary method has a handler, or none where it is ModelInfer; any other has a conversation."""

    handler: Handler | None = None
    conversation: Callable[[StreamCall, GrpcEdge], Conversation] | None = None


def _answering(request: Any, answer: Callable[[GrpcEdge, Any], Any]) -> Method:  # noqa: ANN401 - a message's class
    """A method whose request is parsed before `answer` sees it, and whose answer is serialized."""

    def handler(edge: GrpcEdge, _head: CallHead, message: Buffer) -> bytes:
        serialized: bytes = answer(edge, parsed_plain(request, message)).SerializeToString()
        return serialized

    return Method(handler)


def _ordering(request: Any, answer: Callable[[GrpcEdge, Any], Awaitable[Any]]) -> Method:  # noqa: ANN401
    """The same for what the session answers later."""

    async def handler(edge: GrpcEdge, _head: CallHead, message: Buffer) -> bytes:
        answered = await answer(edge, parsed_plain(request, message))
        serialized: bytes = answered.SerializeToString()
        return serialized

    return Method(handler)


def _permitted(request: Any, answer: Callable[[GrpcEdge, Any], Awaitable[Any]], **bound: int) -> Method:  # noqa: ANN401
    """The same for what changes the session: the token in the metadata `authorization` is asked for before parsing."""

    async def handler(edge: GrpcEdge, head: CallHead, message: Buffer) -> bytes:
        edge.predictions.administration.permit(head.authorization)
        answered = await answer(edge, parsed_plain(request, message, **bound))
        serialized: bytes = answered.SerializeToString()
        return serialized

    return Method(handler)


# Files come with a load: it may be as large as any message. Protobuf copies them twice, and 60 MB hold the loop for
# 0.1 s, from a thread as well; only the token's owner can have it do so, once for each load of a model.
_LOAD = 1 << 31
_INFERENCE = "/inference.GRPCInferenceService/"

METHODS: Mapping[str, Method] = {
    f"{_INFERENCE}ModelInfer": Method(),
    f"{_INFERENCE}ModelStreamInfer": Method(conversation=InferStream),
    f"{_INFERENCE}ServerLive": _answering(messages.ServerLiveRequest, metadata.server_live),
    f"{_INFERENCE}ServerReady": _answering(messages.ServerReadyRequest, metadata.server_ready),
    f"{_INFERENCE}ModelReady": _answering(messages.ModelReadyRequest, metadata.model_ready),
    f"{_INFERENCE}ServerMetadata": _answering(messages.ServerMetadataRequest, metadata.server_metadata),
    f"{_INFERENCE}ModelMetadata": _answering(messages.ModelMetadataRequest, metadata.model_metadata),
    f"{_INFERENCE}ModelConfig": _answering(messages.ModelConfigRequest, metadata.model_configuration),
    f"{_INFERENCE}ModelStatistics": _ordering(messages.ModelStatisticsRequest, orders.statistics),
    f"{_INFERENCE}RepositoryIndex": _ordering(messages.RepositoryIndexRequest, orders.index),
    f"{_INFERENCE}RepositoryModelLoad": _permitted(messages.RepositoryModelLoadRequest, orders.load, most=_LOAD),
    f"{_INFERENCE}RepositoryModelUnload": _permitted(messages.RepositoryModelUnloadRequest, orders.unload),
    "/grpc.health.v1.Health/Check": _answering(health_messages.HealthCheckRequest, health.check),
    "/grpc.health.v1.Health/Watch": Method(conversation=Watch),
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Method(conversation=Reflection),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Method(conversation=Reflection),
}
