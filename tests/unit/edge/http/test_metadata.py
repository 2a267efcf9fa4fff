"""What is answered without a model."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

import pytest

from serving.inference import Signature, TensorSpec
from serving.testing.predictions import FakePredictions
from tests.unit.edge.http.wire import Response, Wire, post


def get(wire: Wire, path: str) -> Response:
    return wire.ask(f"GET {path} HTTP/1.1\r\nHost: gateway:8080\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", {"status": "alive"}),
        ("/v2", {"name": "sluice", "version": "1.2.3", "extensions": ["binary_tensor_data", "parameters"]}),
        ("/v2/", {"name": "sluice", "version": "1.2.3", "extensions": ["binary_tensor_data", "parameters"]}),
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
                "platform": "onnx",
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
    assert get(wire, "/v2/models/mlp/ready").status == 503
    assert get(wire, "/v2/health/ready").status == 503
    assert get(wire, "/v2/health/ready").error
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
