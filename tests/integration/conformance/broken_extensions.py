"""Servers that break one promise of an extension: binary tensors, compression, statistics and what else there is."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from serving.conformance.datatypes import DATATYPES
from serving.conformance.exchange import Answer
from serving.conformance.infer_message import HEADER_LENGTH, outputs_of
from tests.integration.conformance.broken_json import NOWHERE, TWO, Broken
from tests.integration.conformance.change import (
    FP32,
    INFER,
    JSON,
    Change,
    Document,
    When,
    after,
    at,
    before,
    edited,
    first_output,
    header,
    identity_at,
    in_bytes,
    in_json,
    instead,
    last_byte,
    put,
    renamed,
)
from tests.integration.conformance.http_layer import Reply, Request

_BINARY, _JSON = b'"binary_data": true', b'"binary_data": false'
_ALL_BINARY = b'"binary_data_output": true'
_BYTES = "/v2/models/oip-identity-bytes/infer"
_STATS = f"{FP32}/stats"


def _parts(request: Request) -> tuple[Document, bytes]:
    try:
        size = int(request.headers.get(HEADER_LENGTH, "0"))
        return json.loads(request.body[:size]), request.body[size:]
    except ValueError:
        return {}, b""


def _plain_binary(content_type: str) -> When:
    """The plainest binary request: one input of eight numbers and nothing else."""

    def when(request: Request) -> bool:
        document, rest = _parts(request)
        return set(document) == {"inputs"} and len(rest) == 32 and b'"data"' not in request.body

    return in_bytes(header("content-type", content_type, lambda request: at(INFER)(request) and when(request)))


def _rest_of(size: int) -> When:
    whole = at(INFER, has=b'"binary_data_size": 32')
    return in_bytes(lambda request: whole(request) and len(_parts(request)[1]) == size)


def _length(test: Callable[[str, int], bool]) -> When:
    def when(request: Request) -> bool:
        return request.path == INFER and test(request.headers.get(HEADER_LENGTH, "0"), len(request.body))

    return when


def _listed_json(request: Request) -> bool:
    return at(INFER, has=_ALL_BINARY)(request) and b'"outputs": [{"name": "y"}]' in request.body


def _flags(everywhere: str, here: str) -> When:
    return lambda request: (
        request.path == INFER
        and f'"binary_data_output": {everywhere}'.encode() in request.body
        and f'"binary_data": {here}'.encode() in request.body
    )


def _b_first(request: Request) -> bool:
    return request.path == TWO and request.body.startswith(b'{"inputs": [{"name": "b"')


def _with_data(document: Document) -> None:
    for entry in document["outputs"]:
        entry["data"] = []


def _as_json(_request: Request, reply: Reply) -> Reply:
    outputs = outputs_of(Answer(reply.status, list(reply.headers.items()), reply.body))
    return Reply(200, json.dumps({"outputs": [one.as_json() for one in outputs.values()]}).encode(), JSON)


def _length_of_json(_request: Request, reply: Reply) -> Reply:
    if reply.status != 200:
        return reply
    return replace(reply, headers={**reply.headers, HEADER_LENGTH: str(len(reply.body))})


_RAW = header(HEADER_LENGTH, "0", at(INFER))
BINARY: Broken = {
    "http.binary.in": instead(_plain_binary("application/octet-stream"), 400),
    "http.binary.in.no-content-type": instead(_plain_binary(""), 415),
    "http.binary.in.several": instead(in_bytes(_b_first), 400),
    "http.binary.in.mixed": instead(in_bytes(at(TWO, has=b'"data"')), 400),
    "http.binary.in.json-with-length": instead(
        header("content-type", "application/json", _length(lambda length, size: length == str(size))), 400
    ),
    "http.binary.out.flag": before(
        in_json(at(INFER, has=_BINARY, lacks=b"binary_data_output")),
        _BINARY,
        b'"other": 1',
    ),
    "http.binary.out.all": before(
        in_json(lambda r: at(INFER, has=_ALL_BINARY, lacks=b'"outputs"')(r) and b"[2, 4]" in r.body),
        _ALL_BINARY,
        b'"other": 1',
    ),
    "http.binary.out.flag-false": before(_flags("true", "false"), _JSON, _BINARY),
    "http.binary.out.flag-true": before(_flags("false", "true"), _BINARY, _JSON),
    "http.binary.out.listed": before(_listed_json, _ALL_BINARY, b'"other": 1'),
    "http.binary.out.mixed": before(at(TWO, has=_BINARY), _JSON, _BINARY),
    "http.binary.out.form": edited(
        in_json(lambda r: at(INFER, has=_ALL_BINARY, lacks=b'"outputs"')(r) and b"[2, 4]" in r.body), _with_data
    ),
    "http.binary.out.content-type": after(at(INFER, has=_ALL_BINARY), renamed("content-type", "application/json")),
    "http.binary.out.json-plain": after(
        in_json(header("accept-encoding", "", at(INFER, lacks=b"binary"))), _length_of_json
    ),
    "http.binary.raw": edited(_RAW, first_output(shape=[4])),
    "http.binary.raw.binary-out": after(lambda r: _RAW(r) and len(r.body) == 16, _as_json),
    "http.binary.raw.bytes": instead(at("/v2/models/oip-bytes-one/infer"), 400),
    "http.binary.raw.wrong-size": instead(lambda r: _RAW(r) and len(r.body) == 13, 200),
    "http.binary.zero-size": instead(in_bytes(at(INFER, has=b"[0, 4]")), 500),
    "http.binary.no-text": after(in_bytes(at(_BYTES, has=b"\xff\xfe\x80", lacks=b"no_such")), last_byte),
    "http.binary.length-beyond": instead(_length(lambda length, size: length.isdigit() and int(length) > size), 200),
    "http.binary.length-nonsense": instead(_length(lambda length, _size: length == "1e2"), 200),
    "http.binary.left-over": instead(_rest_of(36), 200),
    "http.binary.missing": instead(_rest_of(28), 200),
    "http.binary.size-and-shape": instead(in_bytes(at(INFER, has=b'"binary_data_size": 28')), 200),
    "http.binary.element-beyond": instead(at(_BYTES, has=b"\xff\xff\xff\xff", lacks=b"\xfe"), 200),
    "http.binary.both": instead(in_bytes(lambda r: at(INFER, has=b'"data"')(r) and b"binary_data_size" in r.body), 200),
    "http.binary.same-as-json": after(in_bytes(at(INFER, has=b"[3, 4]")), last_byte),
}


def _bits(request: Request) -> bool:
    no_text = identity_at(request) == "bytes" and b"\xff\xfe\x80" in request.body
    asked = b"[1, 4]" in request.body and _ALL_BINARY in request.body
    return bool(identity_at(request)) and asked and not no_text


BITS = {frozenset(f"http.binary.bits.{name.lower()}" for name in DATATYPES): after(in_bytes(_bits), last_byte)}


def _coded(coding: str, when: When) -> When:
    return header("content-encoding", coding, when)


def _accepts(accepted: str, when: When) -> When:
    return header("accept-encoding", accepted, when)


def _gzip_with_length(request: Request) -> bool:
    return _coded("gzip", at(INFER))(request) and HEADER_LENGTH in request.headers


def _another_coding(_request: Request, reply: Reply) -> Reply:
    if "content-encoding" not in reply.headers:
        return reply
    return replace(reply, body=b"no such coding")


def _squeezed(_request: Request, reply: Reply) -> Reply:
    return replace(reply, body=gzip.compress(reply.body), headers={**reply.headers, "content-encoding": "gzip"})


def _broken_gzip_is_our_fault(_request: Request, reply: Reply) -> Reply:
    return replace(reply, status=500) if reply.status == 400 else reply


COMPRESSION: Broken = {
    "http.compression.request.gzip": instead(lambda r: _coded("gzip", at(INFER))(r) and _whole(r), 400),
    "http.compression.request.deflate": instead(_coded("deflate", at(INFER)), 400),
    "http.compression.request.binary": instead(_gzip_with_length, 400),
    "http.compression.request.broken": after(_coded("gzip", at(INFER)), _broken_gzip_is_our_fault),
    "http.compression.request.unknown": instead(_coded("oip-no-such-coding", at(INFER)), 200),
    "http.compression.answer.gzip": after(_accepts("gzip", at(INFER, lacks=_ALL_BINARY)), _another_coding),
    "http.compression.answer.deflate": after(_accepts("deflate", at(INFER)), _another_coding),
    "http.compression.answer.binary": after(_accepts("gzip", at(INFER, has=_ALL_BINARY)), _another_coding),
    "http.compression.answer.not-accepted": after(_accepts("gzip;q=0, deflate;q=0", at(INFER)), _squeezed),
}


def _whole(request: Request) -> bool:
    try:
        gzip.decompress(request.body)
    except (OSError, EOFError, zlib.error):
        return False
    return HEADER_LENGTH not in request.headers


def _stat(**fields: object) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        for stat in document["model_stats"]:
            stat.update(fields)

    return edit


def _without_last(document: Document) -> None:
    for stat in document["model_stats"]:
        del stat["last_inference"]


def _no_ns(document: Document) -> None:
    document["model_stats"][0]["inference_stats"]["queue"] = {"count": 1}


def _still(document: Document) -> None:
    document["model_stats"][0]["inference_stats"]["success"] = {"count": 1, "ns": 1}


def _popped(field: str) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        document[field].pop()

    return edit


def _doubled(document: Document) -> None:
    first = document["model_stats"][0]
    silent = {part: {"count": 0, "ns": 0} for part in first["inference_stats"]}
    more = {"name": "another", "inference_count": 0, "execution_count": 0, "inference_stats": silent, "batch_stats": []}
    document["model_stats"].append({**first, **more})


def _without_reason(index: Any) -> None:
    del index[0]["reason"]


def _one_loading(index: Any) -> None:
    index[0]["state"] = "LOADING"


def _one_out(index: Any) -> None:
    index.pop()


def _other(predictions: Document) -> None:
    predictions["predictions"][0] = [0.0, 0.0, 0.0, 0.0]


def _one_dims(document: Document) -> None:
    document["input"][0]["data_type"] = "FP32"


_INDEX = "/v2/repository/index"
_SPARE = "/v2/repository/models/oip-identity-int16"
_V1 = "/v1/models/oip-identity-fp32"


def _bodiless(request: Request) -> bool:
    return request.path == _INDEX and not request.body


def _tokenless(request: Request) -> bool:
    return request.path == f"{_SPARE}/load" and "authorization" not in request.headers


FACTS: Broken = {
    "http.statistics.form": edited(at(_STATS), _without_last),
    "http.statistics.durations": edited(at(_STATS), _no_ns),
    "http.statistics.all": edited(at("/v2/models/stats"), _popped("model_stats")),
    "http.statistics.one": edited(at(_STATS), _doubled),
    "http.statistics.versioned": edited(at(f"{FP32}/versions/1/stats"), _stat(version="2")),
    "http.statistics.unknown": instead(at(f"{NOWHERE}/stats"), 200),
    "http.statistics.rows": edited(at(_STATS), _stat(inference_count=7)),
    "http.statistics.executions": edited(at(_STATS), _stat(execution_count=7)),
    "http.statistics.success": edited(at(_STATS), _still),
    "http.statistics.batches": edited(at(_STATS), _stat(batch_stats=[])),
    "http.configuration.name": edited(at(f"{FP32}/config"), put(name="another")),
    "http.configuration.max-batch-size": edited(at(f"{FP32}/config"), put(max_batch_size="many")),
    "http.configuration.tensors": edited(at(f"{FP32}/config"), _one_dims),
    "http.configuration.versioned": instead(at(f"{FP32}/versions/1/config"), 404),
    "http.configuration.unknown": instead(at(f"{NOWHERE}/config"), 200),
    "http.repository.index": edited(at(_INDEX, lacks=b"ready"), _without_reason),
    "http.repository.index.no-body": instead(_bodiless, 400),
    "http.repository.index.all": edited(at(_INDEX, has=b"{}"), _one_out),
    "http.repository.index.ready": edited(at(_INDEX, has=b"ready"), _one_loading),
    "http.repository.load.unknown": instead(at("/v2/repository/models/oip-no-such-model/load"), 200),
    "http.repository.load.token": instead(_tokenless, 200),
    "http.repository.unload-load": instead(at(f"{_SPARE}/unload"), 200),
    "http.v1.alive": edited(at("/"), put(status="up")),
    "http.v1.models": edited(at("/v1/models"), _popped("models")),
    "http.v1.model": edited(at(_V1), put(ready=False)),
    "http.v1.model.unknown": instead(at("/v1/models/oip-no-such-model"), 200),
    "http.v1.predict": edited(at(f"{_V1}:predict"), _other),
    "http.v1.predict.unknown": instead(at("/v1/models/oip-no-such-model:predict"), 200),
    "http.v1.predict.broken": instead(at(f"{_V1}:predict", has=b"no json"), 200),
    "http.parameters.custom": instead(at(INFER, has=b"oip_text"), 400),
    "http.parameters.priority": instead(at(INFER, has=b'"priority": 2'), 400),
    "http.parameters.timeout": instead(at(INFER, has=b'"timeout": 5000000'), 504),
    "http.parameters.timeout.short": edited(at(INFER, has=b'"timeout": 1}'), first_output(data=[0.0] * 8)),
    "http.parameters.nonsense": instead(at(INFER, has=b'"high"'), 200),
}

Family = dict[frozenset[str], Change]
