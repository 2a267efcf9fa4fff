"""A request's head: what its request line and headers ask for, or why it is refused before its body is read."""

from __future__ import annotations

from typing import NamedTuple

from serving.edge.http.answers import Refusal
from serving.edge.http.content_coding import Accepted
from serving.edge.http.given_head import NOTHING_ACCEPTED, Headers, RequestLine, given_body, given_head, number
from serving.edge.http.head_refusal import refusal_of_head
from serving.edge.http.limits import HttpLimits
from serving.edge.http.routes import PREDICTIONS, SESSION, Asks, Target
from serving.inference import CallerContext

_NOWHERE = Target(Asks.ALIVE)


class RequestHead(NamedTuple):
    """A head understood; a pure function of its bytes, so that equal bytes need not be understood twice.

    `length` is None where no Content-Length was sent, `json_size` where no Inference-Header-Content-Length was: the
    bytes of the body's JSON part, behind which tensors follow in binary. `longest` is the most bytes its body may have,
    `longest_inflated` once it is no longer compressed by `coding`; `accepts` is how its answer may be.
    `extra` are header lines that every answer gets, `stays` one that it gets unless the connection closes. `plain` says
    that an answer goes out as it is: no such lines, a body, and the connection stays open. `wants_body` says that it is
    a prediction, `by_name` that its body holds V1 instances, `waits` that the session answers it, which may look at its
    body too: kept here, since a look at an enum costs 0.15 us. All other bodies are dropped.
    """

    target: Target
    host: bytes = b""
    length: int | None = None
    json_size: int | None = None
    longest: int = 0
    longest_inflated: int = 0
    coding: bytes = b""
    accepts: Accepted = NOTHING_ACCEPTED
    chunked: bool = False
    keep_alive: bool = False
    bodiless: bool = False
    expects_continue: bool = False
    key: bytes | None = None
    pinned: str | None = None
    timeout_s: float | None = None
    priority: int = 0
    context: CallerContext | None = None
    extra: bytes = b""
    stays: bytes = b""
    plain: bool = False
    wants_body: bool = False
    by_name: bool = False
    waits: bool = False
    authorization: str = ""
    refusal: Refusal | None = None


NO_HEAD = RequestHead(_NOWHERE)


def understand(line: RequestLine, headers: Headers, limits: HttpLimits) -> RequestHead:
    """The head of a request; what is wrong with it is its `refusal`."""
    given = given_head(line, headers)
    line = given.line
    body = given_body(given, limits)
    # HTTP/1.0 clients close unless told otherwise.
    stays = b"connection: keep-alive\r\n" if line.version == "1.0" and line.keep_alive else b""
    target, found = given.target or _NOWHERE, given.found
    context = given.context
    extra = b"" if context is None else _traced(context)
    return RequestHead(
        target=target,
        host=given.stripped(b"host"),
        length=body.length,
        json_size=body.json_size,
        longest=body.longest,
        longest_inflated=body.longest_inflated,
        coding=body.coding or b"",
        accepts=given.accepts,
        chunked=b"transfer-encoding" in found,
        keep_alive=line.keep_alive,
        bodiless=line.method == b"HEAD",
        expects_continue=b"expect" in found and given.expects_continue,
        key=given.stripped(b"x-sluice-key") or None,
        pinned=given.stripped(b"x-sluice-variant").decode("latin-1") or None,
        timeout_s=given.timeout_s,
        priority=number(given.stripped(b"x-sluice-priority")) or 0,
        context=context,
        extra=extra,
        stays=stays,
        wants_body=target.asks in PREDICTIONS,
        by_name=target.asks is Asks.PREDICT,
        waits=target.asks in SESSION,
        authorization=found.get(b"authorization", b"").decode("latin-1"),
        plain=line.keep_alive and not extra and not stays and line.method != b"HEAD",
        refusal=refusal_of_head(given, body, limits),
    )


def _traced(context: CallerContext) -> bytes:
    """The caller's trace as its answer names it."""
    if not context.traceparent:
        return b""
    line = b"traceparent: %b\r\n" % context.traceparent
    return line + b"tracestate: %b\r\n" % context.tracestate if context.tracestate else line
