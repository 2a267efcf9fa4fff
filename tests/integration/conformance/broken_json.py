"""Servers that break one promise of those that a server without any extension makes."""

from __future__ import annotations

from dataclasses import replace

from serving.conformance.datatypes import IN_JSON, INTEGERS
from serving.conformance.http_checks import refusals
from serving.conformance.known_models import KNOWN
from serving.conformance.served_model import ServedModel
from tests.integration.conformance.change import (
    FP32,
    INFER,
    Change,
    Document,
    When,
    after,
    at,
    drop,
    edited,
    first_output,
    header,
    identity_at,
    in_json,
    instead,
    put,
    renamed,
)
from tests.integration.conformance.good_codec import LENGTH
from tests.integration.conformance.http_layer import App, Reply, Request

OPEN = "/v2/models/oip-open"
TWO = "/v2/models/oip-two/infer"
NOWHERE = "/v2/models/oip-no-such-model"
NO_VERSION = "987654321"
Broken = dict[str, Change]


def _of_version(path: str) -> str:
    return f"{FP32}/versions/1{path}"


def _open_output(**fields: object) -> Change:
    return edited(at(OPEN), first_output(**fields))


def _more(document: Document) -> None:
    if len(document["outputs"]) == 1:
        document["outputs"].append({"name": "more", "shape": [1], "datatype": "FP32", "data": [0]})


def _rotated(document: Document) -> None:
    data = document["outputs"][0]["data"]
    if document["outputs"][0]["shape"] == [5, 4]:
        document["outputs"][0]["data"] = data[4:] + data[:4]


def _others(document: Document) -> None:
    data = document["outputs"][0]["data"]
    if data and data[0] > 100 and data[0] % 1 == 0.5:
        document["outputs"][0]["data"] = [value + 1 for value in data]


def _reversed(document: Document) -> None:
    document["outputs"].reverse()


def _unwanted(document: Document) -> None:
    document["outputs"].append({**document["outputs"][0], "name": "unwanted"})


def _id_without_letters(document: Document) -> None:
    document["id"] = document["id"].encode("ascii", "replace").decode()


def _silent_id(document: Document) -> None:
    if document.get("id") == "":
        del document["id"]


def _version_as_number(document: Document) -> None:
    document["model_version"] = int(document["model_version"])


def _no_rows(request: Request) -> bool:
    return request.path == INFER and b'"shape": [0' in request.body


def _begins(path: str, text: bytes) -> Change:
    return instead(in_json(lambda request: request.path == path and request.body.startswith(text)), 400)


SERVER: Broken = {
    "http.server.metadata": edited(lambda request: request.path in ("/v2", "/v2/"), put(version=7)),
    "http.server.metadata.slash": instead(at("/v2/"), 404),
    "http.server.content-type": after(at("/v2"), renamed("content-type", "text/plain")),
    "http.server.unknown-path": instead(at("/v2/no/such/path"), 400),
    "http.server.models": instead(at("/v2/models"), 200, b'{"models": "all of them"}'),
    "http.health.live": instead(at("/v2/health/live", method="GET"), 503, b'{"live": true, "error": "no"}'),
    "http.health.live.body": edited(at("/v2/health/live"), put(live=False)),
    "http.health.ready": instead(at("/v2/health/ready"), 503, b'{"live": true, "ready": true}'),
    "http.health.ready.body": edited(at("/v2/health/ready"), drop("ready")),
    "http.health.ready.live": edited(at("/v2/health/ready"), drop("live")),
    "http.health.model-ready": instead(at(f"{FP32}/ready"), 503, b'{"name": "oip-identity-fp32", "ready": true}'),
    "http.health.model-ready.body": edited(at(f"{FP32}/ready"), put(name="another")),
    "http.health.model-ready.versioned": instead(at(_of_version("/ready")), 404),
    "http.health.model-ready.unknown": instead(at(f"{NOWHERE}/ready"), 200),
    "http.health.method": instead(at("/v2/health/live", method="POST"), 200),
    "http.model.metadata": edited(at(OPEN), drop("platform")),
    "http.model.datatypes": edited(at(OPEN), lambda document: document["outputs"][0].update(datatype="FP8")),
    "http.model.shapes": edited(at(OPEN), lambda document: document["outputs"][0].update(shape=["n", 4])),
    "http.model.known": edited(at(OPEN), lambda document: document["outputs"][0].update(datatype="FP64")),
    "http.model.versions": edited(at(OPEN), put(versions=[1])),
    "http.model.versioned": edited(at(_of_version("")), put(inputs=[])),
    "http.model.unknown": instead(at(NOWHERE), 200),
    "http.model.unknown-version": instead(at(f"{FP32}/versions/{NO_VERSION}"), 200),
    "http.model.unknown.404": instead(at(NOWHERE), 400),
    "http.model.quoted": instead(at("/v2/models/%6Fip-identity-fp32"), 404),
}

INFERENCE: Broken = {
    "http.infer.nested": instead(in_json(at(INFER, has=b'"data": [[')), 400),
    "http.infer.any-json": _begins(INFER, b" {"),
    "http.infer.all-outputs": edited(in_json(at(INFER, lacks=b"binary")), _more),
    "http.infer.several-inputs": _begins(TWO, b'{"inputs": [{"name": "b"'),
    "http.infer.scalar": edited(at("/v2/models/oip-scalar/infer"), first_output(shape=[1])),
    "http.infer.optional-input": instead(at("/v2/models/oip-optional/infer", lacks=b"factor"), 400),
    "http.infer.content-type": after(in_json(at(INFER, lacks=b"binary")), renamed("content-type", "text/plain")),
    "http.infer.model-name": edited(at(INFER), drop("model_name")),
    "http.infer.model-version": edited(at(INFER), _version_as_number),
    "http.infer.versioned": instead(at(_of_version("/infer")), 404),
    "http.infer.id": edited(at(INFER), _id_without_letters),
    "http.infer.id.always": edited(at(INFER), _silent_id),
    "http.infer.no-content-type": instead(in_json(header("content-type", "", at(INFER, method="POST"))), 415),
    "http.infer.octet-stream": instead(in_json(header("content-type", "application/octet-stream", at(INFER))), 415),
    "http.infer.charset": instead(header("content-type", "application/json; charset=utf-8", at(INFER)), 415),
    "http.infer.chunked": instead(header("transfer-encoding", "chunked", at(INFER)), 411),
    "http.infer.no-rows": instead(in_json(_no_rows), 500),
    "http.infer.at-once": edited(in_json(at(INFER, lacks=b"binary")), _others),
    "http.infer.rows-alone": edited(in_json(at(INFER, lacks=b"binary")), _rotated),
    "http.outputs.only": edited(at(TWO, has=b'"outputs": [{"name": "same"}]'), _unwanted),
    "http.outputs.order": edited(at(TWO, has=b'"outputs": [{"name": "same"}, {"name": "twice"}]'), _reversed),
    "http.outputs.unknown": instead(at(INFER, has=b"oip-no-such-output"), 200),
    "http.parameters.empty": instead(in_json(at(INFER, has=b'"parameters": {}')), 400),
}


def spoiled_body(case: str) -> bytes:
    """What the suite sends for a case of refusals."""
    graph = KNOWN["oip-identity-fp32"].graph
    model = ServedModel("oip-identity-fp32", graph.inputs, graph.outputs, ("1",), KNOWN["oip-identity-fp32"])
    return refusals._spoiled(next(one for one in refusals._CASES if one.name == case), model)


def _is(case: str) -> When:
    body = spoiled_body(case)
    return in_json(lambda request: request.path == INFER and request.method == "POST" and request.body == body)


def _tired(app: App) -> App:
    """After twenty refusals in a row the next good request is answered wrong."""
    refused = 0

    def answer(request: Request) -> Reply:
        nonlocal refused
        reply = app(request)
        if reply.status != 200:
            refused += 1
            return reply
        tired, refused = refused >= 20, 0
        return replace(reply, status=503, body=b'{"error": "tired"}') if tired else reply

    return answer


REFUSALS: Broken = {
    **{f"http.refusal.{case.name}": instead(_is(case.name), 200) for case in refusals._CASES},
    "http.refusal.missing-input": instead(in_json(at(TWO, lacks=b'"b"')), 200),
    "http.refusal.unknown-model": instead(at(f"{NOWHERE}/infer"), 200),
    "http.refusal.unknown-version": instead(at(f"{FP32}/versions/{NO_VERSION}/infer"), 200),
    "http.refusal.unknown.404": instead(at(f"{NOWHERE}/infer"), 400),
    "http.refusal.method": instead(at(INFER, method="GET"), 200),
    "http.refusal.traversal": instead(at("/v2/models/a%00b"), 500),
    "http.error.callers": instead(_is("more-data"), 500),
    "http.error.text": instead(_is("more-data"), 422, b'{"detail": "no"}'),
    "http.error.text.everywhere": instead(at("/v2/no/such/path"), 404, b'{"detail": "no"}'),
    "http.error.content-type": after(_is("more-data"), renamed("content-type", "application/json; charset=utf-8", 400)),
    "http.error.good-after-bad": _tired,
}


def _swapped(document: Document) -> None:
    output = document["outputs"][0]
    if output["shape"] == [1, 4] and "data" in output:
        output["data"][0] = output["data"][1]


def _small(request: Request) -> bool:
    return LENGTH not in request.headers and b"3.4028" in request.body


def _beyond(request: Request) -> bool:
    return LENGTH not in request.headers and b'"data": [0, 0, 0, ' in request.body


_NAN = b'{"outputs": [{"name": "y", "shape": [1, 4], "datatype": "FP32", "data": [0.0, NaN, Infinity, 1.0]}]}'
_NO_TEXT = b'{"outputs": [{"name": "y", "shape": [1, 4], "datatype": "BYTES", "data": ["\xff\xfe", "a", "b", "c"]}]}'

# Datatypes have a check each; what breaks them all must fail them all, and nothing else.
DATATYPES_OF: dict[frozenset[str], Change] = {
    frozenset(f"http.datatype.{name.lower()}" for name in IN_JSON if name != "FP32"): edited(
        in_json(lambda request: identity_at(request) not in ("", "fp32")), _swapped
    ),
    frozenset({"http.datatype.fp32"}): edited(_small, _swapped),
    frozenset({"http.datatype.fp16", "http.datatype.bf16"}): instead(
        in_json(lambda request: identity_at(request) in ("fp16", "bf16")),
        200,
        b'{"outputs": [{"name": "y", "data": [0.0, 0.0, 0.0, 0.0]}]}',
    ),
    frozenset(f"http.datatype.{name.lower()}.range" for name in INTEGERS): instead(_beyond, 200),
}
VALUES: Broken = {
    "http.datatype.text-for-number": instead(at(INFER, has=b'"no number"'), 200),
    "http.datatype.object-for-number": instead(at("/v2/models/oip-identity-int32/infer", has=b"[{}, {}"), 200),
    "http.datatype.null-for-number": instead(at("/v2/models/oip-identity-int64/infer", has=b"[null"), 200),
    "http.datatype.fraction-for-integer": instead(at("/v2/models/oip-identity-int32/infer", has=b"[1.5, 1.5"), 200),
    "http.datatype.nan-sent": instead(in_json(at(INFER, has=b"-Infinity")), 200),
    "http.datatype.nan-answered": instead(
        lambda request: at(INFER, has=b"\xc0\x7f", lacks=b"binary_data_output")(request) and LENGTH in request.headers,
        200,
        _NAN,
    ),
    "http.datatype.bytes-no-text": instead(
        at("/v2/models/oip-identity-bytes/infer", has=b"\xff\xfe", lacks=b"binary_data_output"), 200, _NO_TEXT
    ),
}
