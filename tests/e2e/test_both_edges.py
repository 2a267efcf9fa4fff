"""The same question over HTTP and over gRPC has the same answer, and the same mistake the same kind of refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from serving.edge.grpc.status import STATUS as CODES
from serving.edge.http.status import STATUS
from tests.e2e.grpc_client import arrays_of, failure_of, infer_on, raw_request, typed_request
from tests.e2e.odd_models import ODD, Odd
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.tensors import infer_document, outputs_of, same

ROWS = {"input": np.arange(8, dtype=np.float32).reshape(2, 4)}
MODEL = "lightgbm-like"

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def infer(gateway: SluiceUp) -> Iterator[Any]:
    """ModelInfer of the session."""
    with grpc.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
        yield infer_on(channel)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.model)
def test_both_edges_answer_alike(gateway: SluiceUp, infer: Any, odd: Odd) -> None:
    random = np.random.default_rng(len(odd.model))
    with gateway.connect() as connection:
        for rows in odd.rows:
            inputs = odd.make(random, rows)
            by_json = outputs_of(connection.post(f"/v2/models/{odd.model}/infer", infer_document(inputs)))
            same(arrays_of(infer(raw_request(odd.model, inputs), timeout=20)), by_json)
            same(arrays_of(infer(typed_request(odd.model, inputs), timeout=20)), by_json)


def _set(**fields: object) -> Change:
    return lambda document: document["inputs"][0].update(fields)


# One mistake each, as JSON has it; over gRPC the same document is sent as a message.
MISTAKES: dict[str, Change] = {
    "an input that the model does not have": _set(name="other"),
    "another datatype": _set(datatype="FP64"),
    "a datatype that there is not": _set(datatype="FP31"),
    "another trailing shape": _set(shape=[4, 2]),
    "a rank that does not fit": _set(shape=[8]),
    "no rows": _set(shape=[0, 4], data=[]),
    "a shape that needs more values": _set(shape=[3, 4]),
    "a negative size": _set(shape=[-2, -4]),
    "no inputs": lambda document: document.update(inputs=[]),
    "an input twice": lambda document: document["inputs"].append(document["inputs"][0]),
    "an output that the model does not have": lambda document: document.update(outputs=[{"name": "nothing"}]),
    "an output twice": lambda document: document.update(outputs=[{"name": "label"}, {"name": "label"}]),
    "a sequence": lambda document: document.update(parameters={"sequence_id": 1}),
    "a reserved parameter": lambda document: document.update(parameters={"triton_grpc_error": True}),
    "a priority that is no number": lambda document: document.update(parameters={"priority": "high"}),
    "a time-out that is no number": lambda document: document.update(parameters={"timeout": "soon"}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_both_edges_refuse_alike(in_process: SluiceUp, mistake: str) -> None:
    document = infer_document(ROWS)
    MISTAKES[mistake](document)
    assert json.dumps(document) != json.dumps(infer_document(ROWS))
    with in_process.connect() as connection, grpc.insecure_channel(f"127.0.0.1:{in_process.grpc_port}") as channel:
        reply = connection.post(f"/v2/models/{MODEL}/infer", document)
        code, text = failure_of(infer_on(channel), _message(document))
    assert reply.status >= 400
    assert code in _codes(reply.status), (reply, text)
    assert text


@pytest.mark.parametrize(("model", "version"), [("nothing", ""), (MODEL, "77"), ("no/such", "")])
def test_both_edges_know_the_same_models(in_process: SluiceUp, model: str, version: str) -> None:
    asked = raw_request(model, ROWS)
    asked.model_version = version
    path = f"/v2/models/{model.replace('/', '%2F')}" + (f"/versions/{version}" if version else "")
    with in_process.connect() as connection, grpc.insecure_channel(f"127.0.0.1:{in_process.grpc_port}") as channel:
        reply = connection.post(f"{path}/infer", infer_document(ROWS))
        assert (reply.status, failure_of(infer_on(channel), asked)[0]) == (404, "NOT_FOUND")


def test_metadata_is_told_and_taken_as_headers_are(in_process: SluiceUp) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{in_process.grpc_port}") as channel:
        infer = infer_on(channel)
        _, call = infer.with_call(raw_request(MODEL, ROWS), metadata=(("x-sluice-key", "k"),))
        began, ended = dict(call.initial_metadata()), dict(call.trailing_metadata())
        assert (began["x-sluice-variant"], began["x-sluice-version"]) == ("stable", "1")
        assert ended["server-timing"].startswith("queue;dur=")
        pinned = failure_of(infer, raw_request(MODEL, ROWS), metadata=(("x-sluice-variant", "nobody"),))
        assert pinned[0] == "INVALID_ARGUMENT"


def _codes(status: int) -> set[str]:
    """The gRPC statuses of the errors that have this HTTP status."""
    return {CODES[kind].name for kind in STATUS if STATUS[kind] == status}


def _message(document: dict[str, Any]) -> Any:
    """The JSON document as a message, its values typed."""
    asked = raw_request(MODEL, {})
    for one in document["inputs"]:
        tensor = asked.inputs.add(name=one["name"], datatype=one["datatype"], shape=one["shape"])
        field = tensor.contents.fp64_contents if one["datatype"] == "FP64" else tensor.contents.fp32_contents
        field.extend(one["data"])
    for output in document.get("outputs", ()):
        asked.outputs.add(name=output["name"])
    for name, value in document.get("parameters", {}).items():
        kind = {bool: "bool_param", int: "int64_param", str: "string_param"}[type(value)]
        setattr(asked.parameters[name], kind, value)
    return asked
