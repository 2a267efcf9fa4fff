"""The header blocks of a response: what begins it, and the trailers that say how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from typing import NamedTuple

import orjson

from serving.edge.grpc.status import Code, code_of
from serving.errors import ServingError, Unavailable
from serving.inference import Answer, Request, VersionKey

Header = tuple[bytes, bytes]
HeaderList = Sequence[Header]

_BEGIN: HeaderList = [
    (b":status", b"200"),
    (b"content-type", b"application/grpc"),
    (b"grpc-accept-encoding", b"identity,deflate,gzip"),
]
_OK = (b"grpc-status", b"0")
# Clients refuse metadata of more than 8 kB, and show a message in one line.
_MOST_TEXT = 2048


class Refusal(NamedTuple):
    """Why a call is ended with an error; `reason` is fit for a metric label.

    `http_status` is another than 200 only for what is no gRPC at all; `names` is metadata that says who failed.
    """

    code: Code
    message: str
    reason: str = "bad_request"
    retry_after_s: float | None = None
    http_status: int = 200
    names: tuple[tuple[bytes, bytes], ...] = ()


def spoken_to_http1() -> bytes:
    """What a browser or curl is told that comes to this port."""
    body = orjson.dumps({"error": "this port speaks gRPC (HTTP/2); HTTP/1.1 is served on http.port"})
    head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
    return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)


def refusal_of(error: ServingError, request: Request | None = None) -> Refusal:
    """An error of the request path as gRPC says it, by the variant that was chosen for its request."""
    retry = error.retry_after_s if isinstance(error, Unavailable) else None
    chosen = None if request is None else request.chosen
    names = () if request is None or chosen is None else _names(chosen, request.variant)
    return Refusal(code_of(error), error.message, error.reason, retry, names=names)


def begun(extra: HeaderList) -> HeaderList:
    """What begins a response that has messages; `extra` is metadata of the call's own."""
    return [*_BEGIN, *extra] if extra else _BEGIN


@lru_cache(maxsize=1024)
def begun_by(key: VersionKey, variant: str) -> tuple[tuple[bytes, bytes], ...]:
    """What begins the response to a prediction."""
    return (*_BEGIN, *_names(key, variant))


def ended() -> HeaderList:
    """The trailers of a response that went well."""
    return [_OK]


def ended_with(answer: Answer, request: Request) -> HeaderList:
    """The trailers of a prediction: how long its stages took, and which values were defaults."""
    times = b"queue;dur=%.3f, run;dur=%.3f" % (answer.queue_s * 1000, answer.run_s * 1000)
    if not request.degraded:
        return [_OK, (b"server-timing", times)]
    return [_OK, (b"server-timing", times), (b"x-sluice-degraded", request.degraded.encode())]


def refused(refusal: Refusal) -> HeaderList:
    """A response that is an error and nothing else, or the trailers of one that had messages before (see `trailers`).

    `retry-after` in whole seconds and `grpc-retry-pushback-ms` (gRFC A6) where trying again makes sense.
    """
    status = b"%d" % refusal.http_status
    return [(b":status", status), (b"content-type", b"application/grpc"), *trailers(refusal)]


def trailers(refusal: Refusal) -> HeaderList:
    """How a response ends that had its beginning already."""
    headers: list[Header] = [(b"grpc-status", b"%d" % refusal.code), (b"grpc-message", _encoded(refusal.message))]
    headers += refusal.names
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, ceil(refusal.retry_after_s))))
        headers.append((b"grpc-retry-pushback-ms", b"%d" % ceil(refusal.retry_after_s * 1000)))
    return headers


def _names(key: VersionKey, variant: str) -> tuple[tuple[bytes, bytes], ...]:
    return (b"x-sluice-variant", variant.encode()), (b"x-sluice-version", b"%d" % key.version)


def _encoded(text: str) -> bytes:
    """Percent-encoded as gRPC over HTTP/2 asks for Status-Message."""
    raw = text.encode()[:_MOST_TEXT]
    if raw.isascii() and text.isprintable() and b"%" not in raw:
        return raw
    return b"".join([bytes((b,)) if 0x20 <= b <= 0x7E and b != 0x25 else b"%%%02X" % b for b in raw])  # noqa: PLR2004 - printable ASCII
