"""gRPC beside inference: who the server is, health, metadata, and the services that tools look for."""

from __future__ import annotations

from serving.conformance.check import Check, Failed, Severity, Skipped, expect
from serving.conformance.grpc_client import GrpcFailed
from serving.conformance.http_checks.sources import (
    CONFIGURATION,
    GRPC,
    GRPC_HEALTH,
    GRPC_REFLECTION,
    OIP_GRPC,
    REPOSITORY,
    STATISTICS,
)
from serving.conformance.onnx_file import Spec
from serving.conformance.served_model import specs_of
from serving.conformance.server import Server, path_of
from serving.protocol.health import HealthCheckRequest, HealthCheckResponse
from serving.protocol.open_inference import (
    ModelConfigRequest,
    ModelConfigResponse,
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelReadyRequest,
    ModelReadyResponse,
    ModelStatisticsRequest,
    ModelStatisticsResponse,
    RepositoryIndexRequest,
    RepositoryIndexResponse,
    ServerLiveRequest,
    ServerLiveResponse,
    ServerMetadataRequest,
    ServerMetadataResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)

_NO_MODEL, _NO_VERSION = "oip-no-such-model", "987654321"
_HEALTH = "/grpc.health.v1.Health/Check"
_REFLECTIONS = ("v1", "v1alpha")
_SERVING = 1
_LIST_SERVICES = b"\x3a\x01*"


def _live(server: Server) -> None:
    expect(server.rpc().call("ServerLive", ServerLiveRequest(), ServerLiveResponse).live, "ServerLive says no")


def _ready(server: Server) -> None:
    expect(server.rpc().call("ServerReady", ServerReadyRequest(), ServerReadyResponse).ready, "ServerReady says no")


def _metadata(server: Server) -> None:
    told = server.rpc().call("ServerMetadata", ServerMetadataRequest(), ServerMetadataResponse)
    expect(told.name, "ServerMetadata has no name")
    expect(told.version, "ServerMetadata has no version")


def _metadata_same(server: Server) -> None:
    told = server.rpc().call("ServerMetadata", ServerMetadataRequest(), ServerMetadataResponse)
    by_http = server.good("/v2").object()
    for field, got in (("name", told.name), ("version", told.version)):
        same = not got or got == by_http.get(field)
        expect(same, f"`{field}` is {got!r} over gRPC, {by_http.get(field)!r} over HTTP")


def _model_ready(server: Server) -> None:
    request = ModelReadyRequest(name=server.any_model().name)
    expect(server.rpc().call("ModelReady", request, ModelReadyResponse).ready, "ModelReady says no")


def _model_ready_unknown(server: Server) -> None:
    try:
        told = server.rpc().call("ModelReady", ModelReadyRequest(name=_NO_MODEL), ModelReadyResponse)
    except GrpcFailed:
        return
    expect(not told.ready, "a model that is not there is ready")


def _model_metadata(server: Server) -> None:
    for model in server.models:
        told = server.rpc().call("ModelMetadata", ModelMetadataRequest(name=model.name), ModelMetadataResponse)
        expect(told.name == model.name, f"`name` must be {model.name!r}, got {told.name!r}")
        by_http = server.good(path_of(model.name)).object()
        for side, entries in (("inputs", told.inputs), ("outputs", told.outputs)):
            specs = specs_of(by_http.get(side))
            got = tuple(Spec(one.name, one.datatype, tuple(one.shape)) for one in entries)
            expect(got == specs, f"`{side}` of {model.name} are {got} over gRPC, {specs} over HTTP")


def _model_unknown(server: Server) -> None:
    code = _metadata_code(server, _NO_MODEL, "")
    expect(code != "OK", "a model that is not there has metadata")


def _version_unknown(server: Server) -> None:
    code = _metadata_code(server, server.any_model().name, _NO_VERSION)
    expect(code != "OK", "a version that is not there has metadata")


def _unknown_is_not_found(server: Server) -> None:
    code = _metadata_code(server, _NO_MODEL, "")
    expect(code in ("OK", "NOT_FOUND"), f"a model that is not there is {code}, not NOT_FOUND")


def _metadata_code(server: Server, model: str, version: str) -> str:
    try:
        server.rpc().call("ModelMetadata", ModelMetadataRequest(name=model, version=version), ModelMetadataResponse)
    except GrpcFailed as failed:
        return failed.code
    return "OK"


def _unimplemented(server: Server) -> None:
    try:
        server.rpc().exchange("/inference.GRPCInferenceService/OipNoSuchMethod", b"")
    except GrpcFailed as failed:
        expect(failed.code == "UNIMPLEMENTED", f"a method that is not there is {failed.code}, not UNIMPLEMENTED")
        return
    raise Failed("a method that is not there is answered")


def _broken(server: Server) -> None:
    try:
        server.rpc().exchange("/inference.GRPCInferenceService/ModelMetadata", b"\xff\xff\xff\xff")
    except GrpcFailed:
        server.rpc().call("ServerMetadata", ServerMetadataRequest(), ServerMetadataResponse)
        return
    raise Failed("bytes that are no message are answered")


def _health(server: Server) -> None:
    told = server.rpc().call_any(_HEALTH, HealthCheckRequest(), HealthCheckResponse)
    expect(told.status == _SERVING, f"the status is {told.status}, not SERVING")


def _health_unknown(server: Server) -> None:
    try:
        server.rpc().call_any(_HEALTH, HealthCheckRequest(service="oip.no.such.Service"), HealthCheckResponse)
    except GrpcFailed as failed:
        if failed.code == "UNIMPLEMENTED":
            raise Skipped("grpc.health.v1 is not served") from failed
        expect(failed.code == "NOT_FOUND", f"a service that is not there is {failed.code}, not NOT_FOUND")
        return
    raise Failed("a service that is not there has a status")


def _reflection(server: Server) -> None:
    codes = []
    for version in _REFLECTIONS:
        path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        try:
            answers = server.rpc().stream_bytes(path, [_LIST_SERVICES])
        except GrpcFailed as failed:
            codes.append(failed.code)
            continue
        told = b"".join(answers)
        expect(b"inference.GRPCInferenceService" in told, "the services listed lack inference.GRPCInferenceService")
        return
    raise Failed(f"reflection is {codes}")


def _config(server: Server) -> None:
    model = server.any_model()
    config = server.rpc().call("ModelConfig", ModelConfigRequest(name=model.name), ModelConfigResponse).config
    expect(config.name == model.name, f"`name` must be {model.name!r}, got {config.name!r}")
    got = ({one.name for one in config.input}, {one.name for one in config.output})
    wanted = ({one.name for one in model.inputs}, {one.name for one in model.outputs})
    expect(got == wanted, f"inputs and outputs must be {wanted}, got {got}")


def _statistics(server: Server) -> None:
    model = server.any_model()
    told = server.rpc().call("ModelStatistics", ModelStatisticsRequest(name=model.name), ModelStatisticsResponse)
    names = {one.name for one in told.model_stats}
    expect(names == {model.name}, f"statistics of {model.name} are of {sorted(names)}")


def _index(server: Server) -> None:
    told = server.rpc().call("RepositoryIndex", RepositoryIndexRequest(), RepositoryIndexResponse)
    named = {one.name for one in told.models}
    missing = [one.name for one in server.models if one.name not in named]
    expect(not missing, f"the index leaves out {missing}")


_EXTENSION, _RECOMMENDED = Severity.EXTENSION, Severity.RECOMMENDED
CHECKS = (
    Check("grpc.server.live", "ServerLive says yes.", OIP_GRPC, _live),
    Check("grpc.server.ready", "ServerReady says yes.", OIP_GRPC, _ready),
    Check("grpc.server.metadata", "ServerMetadata has name and version.", OIP_GRPC, _metadata),
    Check("grpc.server.same", "They are those of GET /v2.", OIP_GRPC, _metadata_same, _RECOMMENDED),
    Check("grpc.server.unimplemented", "A method that is not there is UNIMPLEMENTED.", GRPC, _unimplemented),
    Check("grpc.server.broken", "Bytes that are no message are an error, and the server lives.", GRPC, _broken),
    Check("grpc.server.health", "grpc.health.v1 says SERVING.", GRPC_HEALTH, _health, _RECOMMENDED),
    Check(
        "grpc.server.health.unknown",
        "It knows no service that is not there: NOT_FOUND.",
        GRPC_HEALTH,
        _health_unknown,
        _RECOMMENDED,
    ),
    Check(
        "grpc.server.reflection", "Reflection lists the inference service.", GRPC_REFLECTION, _reflection, _RECOMMENDED
    ),
    Check("grpc.model.ready", "ModelReady says yes.", OIP_GRPC, _model_ready),
    Check("grpc.model.ready.unknown", "A model that is not there is not ready.", OIP_GRPC, _model_ready_unknown),
    Check("grpc.model.metadata", "ModelMetadata is what HTTP tells.", OIP_GRPC, _model_metadata),
    Check("grpc.model.unknown", "A model that is not there has no metadata.", OIP_GRPC, _model_unknown),
    Check("grpc.model.unknown-version", "Nor has a version that is not there.", OIP_GRPC, _version_unknown),
    Check("grpc.model.unknown.code", "It is NOT_FOUND.", GRPC, _unknown_is_not_found, _RECOMMENDED),
    Check(
        "grpc.model.config",
        "ModelConfig has inputs and outputs.",
        CONFIGURATION,
        _config,
        _EXTENSION,
        "model_configuration",
    ),
    Check(
        "grpc.model.statistics", "ModelStatistics has the model's.", STATISTICS, _statistics, _EXTENSION, "statistics"
    ),
    Check("grpc.model.index", "RepositoryIndex has every model.", REPOSITORY, _index, _EXTENSION, "model_repository"),
)
