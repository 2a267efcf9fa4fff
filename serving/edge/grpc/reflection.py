"""grpc.reflection: which services there are, and the descriptors of their messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from serving.edge.grpc.edge import GrpcEdge
from serving.edge.grpc.extent import parsed_plain
from serving.edge.grpc.rendering import framed
from serving.edge.grpc.status import Code
from serving.edge.grpc.stream_call import StreamCall
from serving.inference import Buffer
from serving.protocol.descriptors import file_named, file_with
from serving.protocol.reflection import (
    ErrorResponse,
    ExtensionNumberResponse,
    FileDescriptorResponse,
    ListServiceResponse,
    ServerReflectionRequest,
    ServerReflectionResponse,
    ServiceResponse,
)

# v1alpha has the same messages, and clients that know nothing else.
SERVICES = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "inference.GRPCInferenceService",
)
_V1ALPHA = "grpc.reflection.v1alpha."
_V1 = "grpc.reflection.v1."


class Reflection:
    """The conversation: each question is answered at once."""

    endless = False
    full = False
    idle = True

    def __init__(self, call: StreamCall, edge: GrpcEdge) -> None:
        del edge
        self._call = call

    def hears(self, message: Buffer) -> None:
        """A question; what is not known is an answer too."""
        self._call.release(len(message))
        asked = parsed_plain(ServerReflectionRequest, message)
        answer = reflected(asked)
        answer.valid_host = asked.host
        answer.original_request.CopyFrom(asked)
        self._call.say(framed(answer.SerializeToString()))

    def sweep(self) -> None:
        """Nothing changes by itself."""

    def left(self) -> None:
        """Nothing is owed."""


def reflected(asked: ServerReflectionRequest) -> ServerReflectionResponse:
    """The answer to one question."""
    kind = asked.WhichOneof("message_request")
    answer = _ANSWERS.get(kind or "")
    if answer is None:
        return _error(Code.INVALID_ARGUMENT, "the request asks for nothing")
    return answer(asked)


def _services(_asked: ServerReflectionRequest) -> ServerReflectionResponse:
    services: Iterable[ServiceResponse] = [ServiceResponse(name=name) for name in SERVICES]
    return ServerReflectionResponse(list_services_response=ListServiceResponse(service=services))


def _by_name(asked: ServerReflectionRequest) -> ServerReflectionResponse:
    return _file(file_named(asked.file_by_filename), asked.file_by_filename)


def _by_symbol(asked: ServerReflectionRequest) -> ServerReflectionResponse:
    symbol = asked.file_containing_symbol
    # Its messages are v1's, which is also where they are described.
    known = _V1 + symbol.removeprefix(_V1ALPHA) if symbol.startswith(_V1ALPHA) else symbol
    return _file(file_with(known), symbol)


def _file(found: bytes | None, asked: str) -> ServerReflectionResponse:
    if found is None:
        return _error(Code.NOT_FOUND, f"{asked[:200]!r} is not known here")
    return ServerReflectionResponse(file_descriptor_response=FileDescriptorResponse(file_descriptor_proto=[found]))


def _no_extension(asked: ServerReflectionRequest) -> ServerReflectionResponse:
    return _error(Code.NOT_FOUND, f"{asked.file_containing_extension.containing_type[:200]!r} has no extensions")


def _extension_numbers(asked: ServerReflectionRequest) -> ServerReflectionResponse:
    kind = asked.all_extension_numbers_of_type
    if file_with(kind) is None:
        return _error(Code.NOT_FOUND, f"{kind[:200]!r} is not known here")
    numbers = ExtensionNumberResponse(base_type_name=kind)
    return ServerReflectionResponse(all_extension_numbers_response=numbers)


def _error(code: Code, text: str) -> ServerReflectionResponse:
    return ServerReflectionResponse(error_response=ErrorResponse(error_code=int(code), error_message=text))


_ANSWERS: Mapping[str, Callable[[ServerReflectionRequest], ServerReflectionResponse]] = {
    "list_services": _services,
    "file_by_filename": _by_name,
    "file_containing_symbol": _by_symbol,
    "file_containing_extension": _no_extension,
    "all_extension_numbers_of_type": _extension_numbers,
}
