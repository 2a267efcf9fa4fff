"""What is asked of a server beside predictions is told alike on both edges."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from serving.protocol import open_inference as oip
from serving.request_path.administration import LoadOrder
from serving.testing.administration import TOKEN, FakeAdministration
from serving.testing.predictions import FakePredictions
from tests.contract.both_edges import Ports
from tests.contract.edge_ways import CODES
from tests.e2e.http_client import Connection

BEARER = {"authorization": f"Bearer {TOKEN}"}
# Enums have names for what is told of nothing.
UNTOLD: tuple[object, ...] = (None, "", "0", 0, False, [], {}, "FORMAT_NONE", "REJECT")
# Binary tensors are what HTTP has beside its JSON, and there is no message for the log.
ONLY_HTTP = {"binary_tensor_data", "logging"}


def plain(document: Any) -> Any:
    """Without what a message does not tell from nothing, and numbers as messages in JSON have them."""
    if isinstance(document, dict):
        found = {name: plain(value) for name, value in document.items()}
        return {name: value for name, value in found.items() if value not in UNTOLD}
    if isinstance(document, list):
        return [plain(value) for value in document]
    return str(document) if isinstance(document, int) and not isinstance(document, bool) else document


@dataclass(frozen=True, slots=True)
class Both:
    """Asks the same of both edges; an answer is its document, a refusal the name of its status."""

    ports: Ports
    channel: Any

    def http(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        sent = b"" if body is None else json.dumps(body).encode()
        with Connection(self.ports.http) as connection:
            reply = connection.request(method, path, sent, headers)
        return plain(reply.json()) if reply.status == 200 else CODES[reply.status]

    def grpc(self, name: str, asked: Any, headers: dict[str, str] | None = None) -> Any:
        call = self.channel.unary_unary(
            f"/inference.GRPCInferenceService/{name}",
            request_serializer=type(asked).SerializeToString,
            response_deserializer=getattr(oip, f"{name}Response").FromString,
        )
        try:
            answer = call(asked, timeout=20, metadata=tuple((headers or {}).items()))
        except grpc.RpcError as error:
            return error.code().name
        return plain(MessageToDict(answer, preserving_proto_field_name=True))


@pytest.fixture
def both(edges: Ports) -> Iterator[Both]:
    with grpc.insecure_channel(f"127.0.0.1:{edges.grpc}") as channel:
        yield Both(edges, channel)


@pytest.fixture
def session(canned: tuple[Ports, FakePredictions]) -> Iterator[tuple[Both, FakeAdministration]]:
    """Over a canned session, which remembers what it was told to do."""
    ports, predictions = canned
    predictions.administration = administration = FakeAdministration()
    predictions.is_ready = True
    with grpc.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel:
        yield Both(ports, channel), administration
    predictions.is_ready = True


def test_the_server_tells_its_name_and_what_works(both: Both) -> None:
    http, by_grpc = both.http("GET", "/v2"), both.grpc("ServerMetadata", oip.ServerMetadataRequest())
    assert (http["name"], http["version"]) == (by_grpc["name"], by_grpc["version"])
    assert [one for one in http["extensions"] if one not in ONLY_HTTP] == by_grpc["extensions"]
    assert {"statistics", "model_configuration", "parameters"} < set(by_grpc["extensions"])


def test_alive_and_ready(session: tuple[Both, FakeAdministration], canned: tuple[Ports, FakePredictions]) -> None:
    both, _ = session
    assert both.http("GET", "/v2/health/live") == both.grpc("ServerLive", oip.ServerLiveRequest()) == {"live": True}
    assert both.http("GET", "/v2/health/ready")["ready"]
    assert both.grpc("ServerReady", oip.ServerReadyRequest()) == {"ready": True}
    canned[1].is_ready = False
    # HTTP says it by its status, which load balancers look at.
    assert both.http("GET", "/v2/health/ready") == "UNAVAILABLE"
    assert both.grpc("ServerReady", oip.ServerReadyRequest()) == {}


@pytest.mark.parametrize(
    ("model", "version"), [("doubler", ""), ("doubler", "1"), ("several", ""), ("with-default", "")]
)
def test_a_model_is_ready_and_tells_its_tensors_and_configuration(both: Both, model: str, version: str) -> None:
    path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "")
    asked = {"name": model, "version": version}
    assert both.http("GET", path) == both.grpc("ModelMetadata", oip.ModelMetadataRequest(**asked))
    assert both.http("GET", f"{path}/ready")["ready"]
    assert both.grpc("ModelReady", oip.ModelReadyRequest(**asked)) == {"ready": True}
    config = both.grpc("ModelConfig", oip.ModelConfigRequest(**asked))["config"]
    assert both.http("GET", f"{path}/config") == config
    assert config["input"]


@pytest.mark.parametrize(("model", "version"), [("nothing", ""), ("doubler", "77"), ("..", "")])
def test_what_there_is_not_is_not_found(both: Both, model: str, version: str) -> None:
    path = f"/v2/models/{model.replace('.', '%2e')}" + (f"/versions/{version}" if version else "")
    asked = {"name": model, "version": version}
    for http, name, message in (
        (path, "ModelMetadata", oip.ModelMetadataRequest(**asked)),
        (f"{path}/config", "ModelConfig", oip.ModelConfigRequest(**asked)),
        (f"{path}/ready", "ModelReady", oip.ModelReadyRequest(**asked)),
        (f"{path}/stats", "ModelStatistics", oip.ModelStatisticsRequest(**asked)),
    ):
        assert both.http("GET", http) == both.grpc(name, message) == "NOT_FOUND", http


@pytest.mark.parametrize(
    ("path", "asked"), [("", {}), ("/mlp", {"name": "mlp"}), ("/mlp/versions/3", {"name": "mlp", "version": "3"})]
)
def test_statistics_are_the_same(session: tuple[Both, FakeAdministration], path: str, asked: dict[str, str]) -> None:
    both, _ = session
    told = both.http("GET", f"/v2/models{path}/stats")
    assert told == both.grpc("ModelStatistics", oip.ModelStatisticsRequest(**asked))
    assert told["model_stats"][0]["inference_count"] == "6"


@pytest.mark.parametrize("ready", [False, True])
def test_the_index_of_the_repository_is_the_same(session: tuple[Both, FakeAdministration], ready: bool) -> None:
    both, _ = session
    told = both.http("POST", "/v2/repository/index", {"ready": ready})
    assert {"models": told} == both.grpc("RepositoryIndex", oip.RepositoryIndexRequest(ready=ready))
    assert len(told) == (1 if ready else 2)


def test_only_the_tokens_owner_loads_and_unloads(session: tuple[Both, FakeAdministration]) -> None:
    both, administration = session
    load, unload = "/v2/repository/models/new/load", "/v2/repository/models/new/unload"
    for headers in ({}, {"authorization": "Bearer of news"}):
        assert both.http("POST", load, {}, headers) == "UNAUTHENTICATED"
        assert both.http("POST", unload, {}, headers) == "UNAUTHENTICATED"
        assert both.grpc("RepositoryModelLoad", _load(), headers) == "UNAUTHENTICATED"
        assert both.grpc("RepositoryModelUnload", _unload("new"), headers) == "UNAUTHENTICATED"
    administration.open = False
    assert (
        both.http("POST", load, {}, BEARER) == both.grpc("RepositoryModelLoad", _load(), BEARER) == "PERMISSION_DENIED"
    )
    assert (administration.loaded, administration.unloaded) == ([], [])


def test_a_load_and_an_unload_are_the_same_orders(session: tuple[Both, FakeAdministration]) -> None:
    both, administration = session
    parameters = {"config": '{"max_batch_size": 8}', "file:1/model.onnx": base64.b64encode(b"\0\xff").decode()}
    assert both.http("POST", "/v2/repository/models/new/load", {"parameters": parameters}, BEARER) == {}
    given = {
        "config": oip.ModelRepositoryParameter(string_param='{"max_batch_size": 8}'),
        "file:1/model.onnx": oip.ModelRepositoryParameter(bytes_param=b"\0\xff"),
    }
    assert both.grpc("RepositoryModelLoad", _load(**given), BEARER) == {}
    assert administration.loaded == [LoadOrder("new", '{"max_batch_size": 8}', {"1/model.onnx": b"\0\xff"})] * 2
    assert (
        both.http("POST", "/v2/repository/models/new/unload", {"parameters": {"unload_dependents": True}}, BEARER) == {}
    )
    assert both.grpc("RepositoryModelUnload", _unload("new"), BEARER) == {}
    assert administration.unloaded == ["new", "new"]


def test_orders_that_cannot_be_carried_out_are_refused_alike(session: tuple[Both, FakeAdministration]) -> None:
    both, _ = session
    wrong = oip.ModelRepositoryParameter(string_param="x")
    assert (
        both.http("POST", "/v2/repository/models/new/load", {"parameters": {"what": "x"}}, BEARER) == "INVALID_ARGUMENT"
    )
    assert both.grpc("RepositoryModelLoad", _load(what=wrong), BEARER) == "INVALID_ARGUMENT"
    # It is the last one of its session.
    assert both.http("POST", "/v2/repository/models/mlp/unload", {}, BEARER) == "FAILED_PRECONDITION"
    assert both.grpc("RepositoryModelUnload", _unload("mlp"), BEARER) == "FAILED_PRECONDITION"


def _load(**parameters: Any) -> Any:
    asked = oip.RepositoryModelLoadRequest(model_name="new")
    for name, parameter in parameters.items():
        asked.parameters[name].CopyFrom(parameter)
    return asked


def _unload(model: str) -> Any:
    return oip.RepositoryModelUnloadRequest(model_name=model)
