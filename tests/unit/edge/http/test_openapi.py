"""The OpenAPI document tells the port as it is: every route, and answers that are as it says."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import schemathesis

from serving.edge.http.openapi import document
from serving.edge.http.routes import ROUTES, Asks, spelled_out, target_of
from serving.testing.administration import TOKEN, FakeAdministration
from serving.testing.predictions import FakePredictions
from tests.unit.edge.http.wire import Response, Wire

DOCUMENT = document("1.2.3")
INFER = {"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
BODIES: dict[Asks, object] = {Asks.INFER: INFER, Asks.PREDICT: {"instances": [{"input": [1, 2]}]}}
OPERATIONS = [
    (method.upper(), path) for path, told in DOCUMENT["paths"].items() for method in told if method != "parameters"
]


def test_every_route_and_method_is_told_and_no_other() -> None:
    served = {
        (method, path)
        for route in ROUTES
        for path in spelled_out(route)
        for method in route.methods.split(", ")
        if method != "HEAD"
    }
    assert set(OPERATIONS) == served


def test_the_document_is_one() -> None:
    """As those who fuzz by it read it; what it refers to is there."""
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.validate()
    assert sum(1 for _ in schema.get_all_operations()) == len(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_answers_are_as_the_document_says(method: str, path: str) -> None:
    answer = await asked(method, path.format(model="mlp", version=3, repository="r"))
    told = DOCUMENT["paths"][path][method.lower()]["responses"]
    # The one model of the test is the last one of its session, which says so.
    assert answer.status == (409 if path.endswith("/unload") else 200)
    schema = told.get(str(answer.status), told["default"])["content"][answer.headers["content-type"]]["schema"]
    jsonschema.validate(answer.json, {**schema, "components": DOCUMENT["components"]})


async def asked(method: str, path: str) -> Response:
    predictions = FakePredictions()
    predictions.administration = FakeAdministration()
    wire = Wire(predictions=predictions)
    target = target_of(path.encode())
    assert target is not None
    body: Any = json.dumps(BODIES.get(target.asks, {})) if method == "POST" else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    wire.send((head + body).encode())
    for task in list(wire.edge.orders):
        await task
    return wire.answer


def test_the_document_is_served() -> None:
    wire = Wire()
    assert wire.ask(b"GET /v2/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n").json == DOCUMENT
