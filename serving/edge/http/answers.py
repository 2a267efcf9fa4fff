"""The bytes of a response: status line, headers, body; every answer that is no 200 is `{"error": "..."}`."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from math import ceil
from typing import NamedTuple

import orjson

from serving.edge.http.status import status_of
from serving.errors import ServingError, TokenMissing, Unavailable
from serving.inference import Answer, Buffer, Request, VersionKey

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# RFC 9110, section 15.5.2: a 401 says how to authenticate.
_CHALLENGE = b"www-authenticate: Bearer\r\n"
_END_OF_HEAD = b"\r\n\r\n"
_JSON = b"content-type: application/json\r\n"
BYTES = b"content-type: application/octet-stream\r\n"
# Below this joining costs less than writing pieces (17 us for 64 KB).
_JOINED_BYTES = 65_536


class Split(NamedTuple):
    """A response that is written in pieces, since joining them would copy a large tensor once more."""

    head: bytes
    tail: tuple[Buffer, ...]


class Refusal(NamedTuple):
    """Why a request is answered with an error by the edge itself.

    `last` closes the connection after it, where what follows on it cannot be trusted or is not wanted. `reason` is fit
    for a metric label.
    """

    status: int
    message: str
    reason: str = "bad_request"
    last: bool = False
    headers: bytes = b""


def refusal_of(error: ServingError, request: Request | None = None) -> Refusal:
    """An error of the request path as HTTP says it; Retry-After in whole seconds where trying again makes sense.

    Of a request for which a version was chosen it says which: whoever compares variants counts their errors too.
    """
    headers = b""
    if isinstance(error, Unavailable):
        headers = b"retry-after: %d\r\n" % max(1, ceil(error.retry_after_s))
    elif isinstance(error, TokenMissing):
        headers = _CHALLENGE
    if request is not None and request.chosen is not None:
        headers += b"x-sluice-variant: %b\r\nx-sluice-version: %d\r\n" % (
            request.variant.encode(),
            request.chosen.version,
        )
    return Refusal(status_of(error), error.message, error.reason, headers=headers)


@lru_cache(maxsize=64)
def refused(refusal: Refusal) -> bytes:
    """The response to a refused request."""
    return json_answer(refusal.status, orjson.dumps({"error": refusal.message}), refusal.headers)


def json_answer(status: int, body: bytes, headers: bytes = b"") -> bytes:
    """A response with a JSON body; `headers` are whole lines."""
    phrase = HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %b\r\n%b%bcontent-length: %d\r\n\r\n%b" % (status, phrase, _JSON, headers, len(body), body)


def predicted(answer: Answer, pieces: tuple[bytes, ...], headers: bytes = b"") -> bytes | Split:
    """The response to a prediction, its body given in pieces; `headers` are whole lines."""
    times = b"%.3f, run;dur=%.3f\r\n%bcontent-length: %d\r\n\r\n"
    length = sum(map(len, pieces))
    head = (
        before_queue(answer.key, answer.variant),
        times % (answer.queue_s * 1000, answer.run_s * 1000, headers, length),
    )
    return b"".join((*head, *pieces)) if length < _JOINED_BYTES else Split(b"".join(head), pieces)


def predicted_in_binary(answer: Answer, json: tuple[bytes, ...], tensors: tuple[Buffer, ...]) -> bytes | Split:
    """The response to an infer request of which some outputs follow the JSON as bytes."""
    json_size = sum(map(len, json))
    size = sum(map(len, tensors))
    times = b"%.3f, run;dur=%.3f\r\ninference-header-content-length: %d\r\ncontent-length: %d\r\n\r\n"
    head = (
        before_queue(answer.key, answer.variant, BYTES),
        times % (answer.queue_s * 1000, answer.run_s * 1000, json_size, json_size + size),
        *json,
    )
    return b"".join((*head, *tensors)) if size < _JOINED_BYTES else Split(b"".join(head), tensors)


def recoded(answer: bytes, tail: tuple[Buffer, ...], coding: bytes, made: list[bytes] | None) -> bytes | Split:
    """A response with the body `made` of its own by a content coding; with its own where that is None.

    Either way the answer depends on what the client accepts. Inference-Header-Content-Length goes on counting the JSON
    as it was.
    """
    status_line, rest = answer.split(b"\r\n", 1)
    if made is None:
        return Split(b"%b\r\nvary: accept-encoding\r\n%b" % (status_line, rest), tail)
    head, _, _ = rest.partition(_END_OF_HEAD)
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length:")]
    more = b"content-encoding: %b\r\nvary: accept-encoding\r\ncontent-length: %d" % (coding, sum(map(len, made)))
    return Split(b"\r\n".join((status_line, *lines, more)) + _END_OF_HEAD, tuple(made))


def framed(answer: bytes, *, headers: bytes, bodiless: bool) -> bytes:
    """The same response with more header lines in front, and without its body where the method was HEAD."""
    status_line, rest = answer.split(b"\r\n", 1)
    if bodiless:
        rest = rest[: rest.index(_END_OF_HEAD) + len(_END_OF_HEAD)]
    return b"%b\r\n%b%b" % (status_line, headers, rest)


@lru_cache(maxsize=1024)
def before_queue(key: VersionKey, variant: str, content_type: bytes = _JSON) -> bytes:
    """The head of a prediction's response, up to the time it spent in the queue."""
    return b"HTTP/1.1 200 OK\r\n%bx-sluice-variant: %b\r\nx-sluice-version: %d\r\nserver-timing: queue;dur=" % (
        content_type,
        variant.encode(),
        key.version,
    )
