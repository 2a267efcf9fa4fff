"""A gRPC server that keeps every promise, over grpcio; a change spoils what one method answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc

from serving.conformance.datatypes import DATATYPES, from_bytes, to_bytes
from serving.conformance.grpc_message import FIELDS
from serving.conformance.known_models import KNOWN, KnownModel
from serving.conformance.onnx_file import Spec
from serving.conformance.tensors import Tensor, product
from serving.protocol import open_inference as oip
from serving.protocol.health import HealthCheckRequest, HealthCheckResponse

_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0))
_SERVICE = "inference.GRPCInferenceService"


class Refused(Exception):
    """Another status than OK."""

    def __init__(self, details: str, code: str = "INVALID_ARGUMENT") -> None:
        super().__init__(details)
        self.details = details
        self.code = code


Answer = Callable[[str, bytes], bytes]
Change = Callable[[Answer], Answer]


@contextlib.contextmanager
def serving_grpc(change: Change | None = None) -> Iterator[str]:
    """The target of a server; `change` wraps the function from a method's name and message to its answer."""
    answer: Answer = answered if change is None else change(answered)
    server = grpc.server(ThreadPoolExecutor(8), options=_OPTIONS)
    server.add_generic_rpc_handlers((_Handler(answer),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def service(self, details: Any) -> Any:
        path: str = details.method
        if path.endswith(("/ModelStreamInfer", "/ServerReflectionInfo")):
            return grpc.stream_stream_rpc_method_handler(lambda messages, context: self._each(path, messages, context))
        return grpc.unary_unary_rpc_method_handler(lambda message, context: self._one(path, message, context))

    def _one(self, path: str, message: bytes, context: Any) -> bytes:
        try:
            return self._answer(path, message)
        except Refused as refused:
            context.abort(getattr(grpc.StatusCode, refused.code), refused.details)
            raise

    def _each(self, path: str, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for message in messages:
            yield self._one(path, message, context)


def answered(path: str, message: bytes) -> bytes:
    """What a method answers."""
    service, method = path.removeprefix("/").split("/")
    if service == "grpc.health.v1.Health":
        return _health(message)
    if service.startswith("grpc.reflection."):
        return f"inference.GRPCInferenceService {service}".encode()
    known = METHODS.get(method) if service == _SERVICE else None
    if known is None:
        raise Refused("no such method", "UNIMPLEMENTED")
    try:
        request = known.request.FromString(message)
    except Exception as error:
        raise Refused("no message") from error
    answer: bytes = known.run(request).SerializeToString()
    return answer


def _health(message: bytes) -> bytes:
    if HealthCheckRequest.FromString(message).service:
        raise Refused("no such service", "NOT_FOUND")
    return HealthCheckResponse(status="SERVING").SerializeToString()


def _known(name: str, version: str = "") -> KnownModel:
    if name not in KNOWN or version not in ("", "1"):
        raise Refused("no such model or version", "NOT_FOUND")
    return KNOWN[name]


def _metadata(request: Any) -> Any:
    model = _known(request.name, request.version)
    tensor = oip.ModelMetadataResponse.TensorMetadata

    def told(specs: tuple[Spec, ...]) -> list[Any]:
        return [tensor(name=one.name, datatype=one.datatype, shape=one.shape) for one in specs]

    graph = model.graph
    return oip.ModelMetadataResponse(
        name=model.name, versions=["1"], platform="test", inputs=told(graph.inputs), outputs=told(graph.outputs)
    )


def _config(request: Any) -> Any:
    graph = _known(request.name).graph
    config = oip.ModelConfig(
        name=request.name,
        input=[oip.ModelInput(name=one.name, dims=one.shape) for one in graph.inputs],
        output=[oip.ModelOutput(name=one.name, dims=one.shape) for one in graph.outputs],
    )
    return oip.ModelConfigResponse(config=config)


def _infer(request: Any) -> Any:
    model = _known(request.model_name, request.model_version)
    inputs = _inputs(model, request)
    missing = {one.name for one in model.graph.inputs} - set(inputs) - model.optional
    if missing:
        raise Refused(f"{missing} are missing")
    outputs = model.answers(inputs)
    names = [one.name for one in request.outputs] or list(outputs)
    if unknown := set(names) - set(outputs):
        raise Refused(f"no outputs {unknown}")
    entry = oip.ModelInferResponse.InferOutputTensor
    answered = [outputs[name] for name in names]
    return oip.ModelInferResponse(
        model_name=model.name,
        model_version="1",
        id=request.id,
        outputs=[entry(name=one.name, datatype=one.datatype, shape=one.shape) for one in answered],
        raw_output_contents=[to_bytes(one.values) for one in answered],
    )


def _inputs(model: KnownModel, request: Any) -> dict[str, Tensor]:
    raw = list(request.raw_input_contents)
    typed = any(one.HasField("contents") for one in request.inputs)
    if (raw and typed) or (raw and len(raw) != len(request.inputs)):
        raise Refused("raw contents for each input, or typed ones")
    found = {}
    for place, one in enumerate(request.inputs):
        spec = next((spec for spec in model.graph.inputs if spec.name == one.name), None)
        if spec is None or one.datatype != spec.datatype:
            raise Refused(f"no input {one.name} of {one.datatype}")
        shape = tuple(one.shape)
        fits = len(shape) == len(spec.shape) and all(w in (-1, g) for w, g in zip(spec.shape, shape, strict=True))
        if not fits or any(size < 0 for size in shape):
            raise Refused(f"{one.name} has the shape {spec.shape}")
        found[one.name] = _tensor(spec, shape, raw[place] if raw else None, one)
    return found


def _tensor(spec: Spec, shape: tuple[int, ...], raw: bytes | None, one: Any) -> Tensor:
    datatype = DATATYPES[spec.datatype]
    try:
        if raw is not None:
            values = from_bytes(datatype, raw)
        else:
            values = datatype.array(list(getattr(one.contents, FIELDS[spec.datatype])))
    except (ValueError, KeyError, OverflowError) as error:
        raise Refused(str(error)) from error
    if len(values) != product(shape):
        raise Refused("contents and shape have different sizes")
    return Tensor(spec.name, spec.datatype, shape, values)


def _streamed(request: Any) -> Any:
    return oip.ModelStreamInferResponse(infer_response=_infer(request))


def _index(_request: Any) -> Any:
    entry = oip.RepositoryIndexResponse.ModelIndex
    return oip.RepositoryIndexResponse(models=[entry(name=name, version="1", state="READY") for name in KNOWN])


@dataclass(frozen=True, slots=True)
class Method:
    request: Any
    run: Callable[[Any], Any]


METHODS = {
    "ServerLive": Method(oip.ServerLiveRequest, lambda _: oip.ServerLiveResponse(live=True)),
    "ServerReady": Method(oip.ServerReadyRequest, lambda _: oip.ServerReadyResponse(ready=True)),
    "ServerMetadata": Method(oip.ServerMetadataRequest, lambda _: oip.ServerMetadataResponse(name="good", version="1")),
    "ModelReady": Method(
        oip.ModelReadyRequest, lambda request: oip.ModelReadyResponse(ready=bool(_known(request.name, request.version)))
    ),
    "ModelMetadata": Method(oip.ModelMetadataRequest, _metadata),
    "ModelConfig": Method(oip.ModelConfigRequest, _config),
    "ModelStatistics": Method(
        oip.ModelStatisticsRequest,
        lambda request: oip.ModelStatisticsResponse(model_stats=[oip.ModelStatistics(name=_known(request.name).name)]),
    ),
    "RepositoryIndex": Method(oip.RepositoryIndexRequest, _index),
    "ModelInfer": Method(oip.ModelInferRequest, _infer),
    "ModelStreamInfer": Method(oip.ModelInferRequest, _streamed),
}
