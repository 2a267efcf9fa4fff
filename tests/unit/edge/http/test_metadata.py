"""What is answered without a model."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

import pytest

from serving.edge.http.routes import target_of
from serving.errors import NotReady
from serving.inference import Signature, TensorSpec
from serving.request_path.predictions import Description, RunFacts
from serving.testing.administration import TOKEN, FakeAdministration
from serving.testing.predictions import FakePredictions
from tests.unit.edge.http.wire import Response, Wire, post

EXTENSIONS = ["binary_tensor_data", "parameters", "schedule_policy", "model_configuration", "statistics"]


def get(wire: Wire, path: str) -> Response:
    return wire.ask(f"GET {path} HTTP/1.1\r\nHost: gateway:8080\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", {"status": "alive"}),
        ("/v2", {"name": "sluice", "version": "1.2.3", "extensions": EXTENSIONS}),
        ("/v2/", {"name": "sluice", "version": "1.2.3", "extensions": EXTENSIONS}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True, "live": True}),
        ("/v2/models", {"models": ["mlp"]}),
        ("/v1/models", {"models": ["mlp"]}),
        ("/v2/models/mlp/ready", {"name": "mlp", "ready": True}),
        ("/v2/models/mlp/versions/2/ready", {"name": "mlp", "ready": True}),
        (
            "/v2/models/mlp",
            {
                "name": "mlp",
                "versions": ["1", "2", "3"],
                "platform": "onnxruntime_onnx",
                "inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, -1]}],
                "outputs": [{"name": "mean", "datatype": "FP32", "shape": [-1, 1]}],
            },
        ),
    ],
)
def test_each_page_says_what_the_protocol_wants(wire: Wire, path: str, body: Any) -> None:
    answer = get(wire, path)
    assert (answer.status, answer.json) == (200, body)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/v2/models/x", "/v2/models/mlp/versions/9", "/v2/models/x/ready", "/v1/models/x"])
def test_an_unknown_model_or_version_is_not_found(wire: Wire, path: str) -> None:
    assert get(wire, path).status == 404
    assert get(wire, path).error.startswith("unknown model")


def test_what_is_not_ready_is_said_with_an_error(wire: Wire) -> None:
    described = wire.predictions.described["mlp"]
    wire.predictions.described["mlp"] = dataclasses.replace(described, ready=False)
    wire.predictions.is_ready = False
    answer = get(wire, "/v2/models/mlp/ready")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json == {"name": "mlp", "ready": False, "error": "version 3 of model 'mlp' is not ready yet"}
    answer = get(wire, "/v2/health/ready")
    assert answer.status == 503
    assert (answer.json["ready"], answer.json["live"]) == (False, True)
    assert answer.error.startswith("not every routed version can run yet")
    assert get(wire, "/v2/health/live").status == 200


def test_a_draining_worker_is_not_ready_but_alive(wire: Wire) -> None:
    wire.edge.draining = True
    assert get(wire, "/v2/health/ready").status == 503


def test_the_page_of_a_model_has_a_command_that_works() -> None:
    inputs = (
        TensorSpec("it's", "FP32", (-1, 2)),
        TensorSpec("carrier", "BYTES", (-1,)),
        TensorSpec("late", "BOOL", (-1, -1)),
        TensorSpec("hour", "INT64", (-1, 1)),
    )
    fake = FakePredictions(Signature(inputs, ()))
    page = get(Wire(predictions=fake), "/v1/models/mlp").json
    command = shlex.split(page["curl"])
    url, data = command[2], command[4]
    assert url == "http://gateway:8080/v1/models/mlp:predict"
    wire = Wire(predictions=fake)
    wire.send(post(data, path="/v1/models/mlp:predict"))
    assert len(fake.accepted) == 1
    assert page["inputs"][0] == {"name": "it's", "datatype": "FP32", "shape": [-1, 2]}


TABULAR = Signature(
    (TensorSpec("row", "FP32", (-1, 4)), TensorSpec("word", "BYTES", (-1,))),
    (TensorSpec("label", "INT64", (-1,)),),
    (TensorSpec("threshold", "FP64", (), optional=True),),
)


def test_the_configuration_has_what_clients_of_the_extension_read(wire: Wire) -> None:
    runs = RunFacts(batchable=True, max_rows=64, at_once=2, queue_rows=100, deadline_s=0.25, priority_levels=3)
    wire.predictions.described["mlp"] = Description("mlp", 3, (1, 3), TABULAR, runs=runs)
    config = get(wire, "/v2/models/mlp/config").json
    assert (config["name"], config["platform"], config["max_batch_size"]) == ("mlp", "onnxruntime_onnx", 64)
    assert [(each["name"], each["data_type"], each["dims"], each["optional"]) for each in config["input"]] == [
        ("row", "TYPE_FP32", [4], False),
        ("word", "TYPE_STRING", [], False),
        ("threshold", "TYPE_FP64", [], True),
    ]
    assert [(each["name"], each["data_type"], each["dims"]) for each in config["output"]] == [
        ("label", "TYPE_INT64", [])
    ]
    assert config["version_policy"] == {"specific": {"versions": [1, 3]}}
    assert [(each["kind"], each["count"]) for each in config["instance_group"]] == [("KIND_CPU", 2)]
    policy = config["dynamic_batching"]
    assert (policy["priority_levels"], policy["default_priority_level"]) == (3, 1)
    assert policy["default_queue_policy"]["default_timeout_microseconds"] == 250_000
    assert policy["default_queue_policy"]["max_queue_size"] == 100
    assert get(wire, "/v2/models/mlp/versions/3/config").json == config
    assert get(wire, "/v2/models/x/config").status == 404


def test_rows_that_do_not_run_together_are_told_with_their_whole_shape(wire: Wire) -> None:
    wire.predictions.described["mlp"] = Description("mlp", 3, (1, 3), TABULAR)
    config = get(wire, "/v2/models/mlp/config").json
    assert config["max_batch_size"] == 0
    assert [each["dims"] for each in config["input"]] == [[-1, 4], [-1], []]
    assert "dynamic_batching" not in config


def test_optional_inputs_are_listed_after_the_others(wire: Wire) -> None:
    wire.predictions.described["mlp"] = Description("mlp", 3, (1, 3), TABULAR)
    assert [spec["name"] for spec in get(wire, "/v2/models/mlp").json["inputs"]] == ["row", "word", "threshold"]


# What proves that an extension is served: a path of it that is answered.
PROOFS = {
    "model_configuration": ("GET", "/v2/models/mlp/config"),
    "statistics": ("GET", "/v2/models/mlp/stats"),
    "schedule_policy": ("GET", "/v2/models/mlp/config"),
    "model_repository": ("POST", "/v2/repository/models/other/load"),
    "logging": ("POST", "/v2/logging"),
}


@pytest.mark.parametrize("is_open", [True, False])
async def test_exactly_the_extensions_that_work_are_advertised(wire: Wire, *, is_open: bool) -> None:
    wire.predictions.administration = FakeAdministration(is_open=is_open)
    described = wire.predictions.described["mlp"]
    wire.predictions.described["mlp"] = dataclasses.replace(described, runs=RunFacts(batchable=True, max_rows=8))
    works = set()
    for extension, (method, path) in PROOFS.items():
        body = '{"log_info": false}' if extension == "logging" else "{}"
        already = len(wire.answers)
        length = len(body) if method == "POST" else 0
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {length}\r\n\r\n"
        )
        wire.send((head + body[:length]).encode())
        for task in list(wire.edge.orders):
            await task
        if wire.answers[already].status == 200:
            works.add(extension)
    told = get(wire, "/v2").json["extensions"]
    assert len(told) == len(set(told))
    # What is said in a prediction itself is proven where predictions are tested.
    assert set(told) - {"binary_tensor_data", "parameters"} == works


@pytest.mark.parametrize(
    "path", ["/v2/models/mlp/config", "/v2/repository/index", "/v2/models/mlp/infer", "/v2/logging"]
)
def test_another_method_is_told_which_ones_are_allowed(wire: Wire, path: str) -> None:
    answer = wire.ask(f"DELETE {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    target = target_of(path.encode())
    assert target is not None
    assert (answer.status, answer.headers["allow"]) == (405, target.methods)
    assert answer.error


@pytest.mark.parametrize("path", ["/v1/models/mlp", "/v2/models/mlp/ready"])
def test_a_model_that_nothing_hosts_yet_is_not_ready_by_name(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def absent(model: str, version: int | None) -> Description:
        raise NotReady(f"version 3 of model {model!r} is not ready; try again in a moment")

    monkeypatch.setattr(wire.predictions, "describe", absent)
    answer = get(wire, path)
    assert (answer.status, answer.json["name"], answer.json["ready"]) == (503, "mlp", False)
    assert answer.error.startswith("version 3")
