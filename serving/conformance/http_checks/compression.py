"""Compressed bodies, both ways: nobody has to compress, but what is compressed must be right."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from functools import partial

from serving.conformance.check import Check, Failed, Severity, Skipped, expect
from serving.conformance.exchange import Answer
from serving.conformance.http_checks.sources import BINARY, HTTP
from serving.conformance.infer_message import JSON_TYPE, binary_body, json_body, outputs_of
from serving.conformance.server import Server
from serving.conformance.tensors import Tensor

_OK = 200
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_NOT_SERVED = (415, 501)
# Servers leave small answers alone: these have about 50 KB of binary data and twice that of JSON.
_ROWS = 3000
_CODERS: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


def _request(coding: str, server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    answer = _compressed(server, coding, json_body(inputs))
    model.check(inputs, outputs_of(answer))


def _request_binary(server: Server) -> None:
    model = server.any_model()
    inputs = model.telling_inputs()
    body, headers = binary_body(inputs)
    answer = server.infer(model, gzip.compress(body), {**headers, "content-encoding": "gzip"})
    _skip_where_refused(answer, "gzip")
    model.check(inputs, outputs_of(answer))


def _request_broken(server: Server) -> None:
    body = bytearray(gzip.compress(json_body(server.any_model().telling_inputs())))
    body[len(body) // 2] ^= 0xFF
    for broken in (bytes(body), bytes(body[: len(body) // 2]), b"no gzip"):
        answer = server.infer(server.any_model(), broken, {**JSON_TYPE, "content-encoding": "gzip"})
        expect(_CLIENT_ERROR <= answer.status < _SERVER_ERROR, f"broken gzip is answered {answer.status}")


def _request_unknown(server: Server) -> None:
    model = server.any_model()
    headers = {**JSON_TYPE, "content-encoding": "oip-no-such-coding"}
    answer = server.infer(model, json_body(model.telling_inputs()), headers)
    expect(answer.status >= _CLIENT_ERROR, f"a coding that nobody knows is answered {answer.status}")


def _answer(coding: str, server: Server) -> None:
    inputs, answer = _asked(server, coding)
    given = answer.header("content-encoding")
    if given in (None, "identity"):
        raise Skipped(f"an answer of {len(answer.body)} bytes is not compressed when {coding} is accepted")
    expect(given == coding, f"only {coding} is accepted and the answer is {given!r}")
    server.any_model().check(inputs, outputs_of(_inflated(answer, coding)))


def _answer_binary(server: Server) -> None:
    inputs, answer = _asked(server, "gzip", parameters={"binary_data_output": True})
    if answer.header("content-encoding") != "gzip":
        raise Skipped("a binary answer is not compressed when gzip is accepted")
    server.any_model().check(inputs, outputs_of(_inflated(answer, "gzip")))


def _answer_refused(server: Server) -> None:
    for accepted in ("", "identity", "gzip;q=0, deflate;q=0", "oip-no-such-coding"):
        inputs, answer = _asked(server, accepted)
        given = answer.header("content-encoding")
        expect(given in (None, "identity"), f"{accepted!r} is accepted and the answer is {given!r}")
        server.any_model().check(inputs, outputs_of(answer))


def _asked(server: Server, accepted: str, **fields: object) -> tuple[list[Tensor], Answer]:
    model = server.any_model()
    inputs = model.telling_inputs(rows=_ROWS) if model.rows else model.telling_inputs()
    return inputs, server.infer(model, json_body(inputs, **fields), {**JSON_TYPE, "accept-encoding": accepted})


def _compressed(server: Server, coding: str, body: bytes) -> Answer:
    headers = {**JSON_TYPE, "content-encoding": coding}
    answer = server.infer(server.any_model(), _CODERS[coding](body), headers)
    _skip_where_refused(answer, coding)
    return answer


def _skip_where_refused(answer: Answer, coding: str) -> None:
    if answer.status in _NOT_SERVED:
        raise Skipped(f"{coding} is refused with {answer.status}, as it may be")
    if _CLIENT_ERROR <= answer.status < _SERVER_ERROR:
        raise Failed(f"{coding} is neither read nor refused with 415: answered {answer.status}")


def _inflated(answer: Answer, coding: str) -> Answer:
    try:
        body = gzip.decompress(answer.body) if coding == "gzip" else zlib.decompress(answer.body)
    except (OSError, EOFError, zlib.error) as error:
        raise Failed(f"the answer is called {coding} and is none: {error}") from error
    return Answer(answer.status, answer.headers, body)


_RECOMMENDED = Severity.RECOMMENDED
_CODING = HTTP + ", 8.4"
CHECKS = (
    *(
        Check(
            f"http.compression.request.{coding}",
            f"A body in {coding} is read, or refused as 415.",
            HTTP + ", 15.5.16",
            partial(_request, coding),
            _RECOMMENDED,
        )
        for coding in _CODERS
    ),
    Check(
        "http.compression.request.binary",
        "With binary data the header length counts what is inflated.",
        BINARY,
        _request_binary,
        Severity.RECOMMENDED,
        "binary_tensor_data",
    ),
    Check(
        "http.compression.request.broken", "Broken gzip is a caller's error.", _CODING, _request_broken, _RECOMMENDED
    ),
    Check(
        "http.compression.request.unknown",
        "A coding that nobody knows is not passed over.",
        HTTP + ", 15.5.16",
        _request_unknown,
        _RECOMMENDED,
    ),
    *(
        Check(
            f"http.compression.answer.{coding}",
            f"Where {coding} alone is accepted, an answer that is compressed is {coding}, and right.",
            HTTP + ", 12.5.3",
            partial(_answer, coding),
        )
        for coding in _CODERS
    ),
    Check(
        "http.compression.answer.binary",
        "A compressed answer with binary data is right once inflated.",
        BINARY,
        _answer_binary,
        Severity.EXTENSION,
        "binary_tensor_data",
    ),
    Check(
        "http.compression.answer.not-accepted",
        "A coding that is not accepted is not used.",
        HTTP + ", 12.5.3",
        _answer_refused,
        _RECOMMENDED,
    ),
)
