"""Why a request is refused before its body is read, or None: each step is one thing that may be wrong with its head."""

from __future__ import annotations

import re
from functools import lru_cache

from serving.edge.http.answers import Refusal
from serving.edge.http.content_coding import SERVED, coding_of
from serving.edge.http.given_head import NOTHING_ACCEPTED, SHORT_BYTES, GivenBody, GivenHead, RequestLine, number
from serving.edge.http.limits import HttpLimits
from serving.edge.http.routes import PREDICTIONS, Asks

# RFC 9110, section 7.2, with the names and addresses of RFC 3986, section 3.2.2.
_HOST = re.compile(
    rb"(?:\[[0-9A-Za-z:.%_~-]+\]|(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?",
)


def refusal_of_head(head: GivenHead, body: GivenBody, limits: HttpLimits) -> Refusal | None:
    """The first thing that is wrong; what makes the rest of the connection untrustworthy comes first."""
    refusal = (
        _broken(head)
        or _too_long(head.line, limits)
        or _unwanted(head)
        or _odd_coding(head)
        or _odd_json_part(head, body)
        or _too_large(body, limits)
        or _odd_timeout(head)
        or _odd_priority(head)
    )
    # A client that waits for leave to send its body may or may not send it now, so nothing after it can be trusted; and
    # a body longer than what is ever dropped is not waited for.
    if refusal is not None and (head.expects_continue or (body.length or 0) > limits.max_discard_bytes):
        refusal = refusal._replace(last=True)
    return refusal


def too_large(
    limits: HttpLimits, json_size: int | None = None, *, compressed: bool = False, short: bool = False
) -> Refusal:
    """The answer to a body over what JSON or any body may have; `compressed` as it came, before it is inflated.

    `short` where the path takes no more than a few settings.
    """
    most = f"{limits.max_json_mb:g} MB (http.max_json_mb)"
    if short:
        message = f"a body of this path may have at most {min(SHORT_BYTES, limits.max_json_bytes)} bytes"
    elif json_size is None and limits.max_json_mb < limits.max_body_mb and not compressed:
        message = (
            f"a JSON body may have at most {most}; send tensors in binary (`binary_data_size` and the header "
            f"Inference-Header-Content-Length), up to {limits.max_body_mb:g} MB, or split the rows over requests"
        )
    elif json_size is not None and json_size > limits.max_json_bytes:
        message = f"the JSON part of a body may have at most {most}; send more of its tensors in binary"
    else:
        message = (
            f"a body may have at most {limits.max_body_mb:g} MB (http.max_body_mb), also when it is inflated; "
            "split the rows over requests"
        )
    return Refusal(413, message, "too_large")


def _broken(head: GivenHead) -> Refusal | None:
    """What makes the rest of the connection untrustworthy."""
    line, found = head.line, head.found
    if line.version not in ("1.0", "1.1"):
        return Refusal(505, f"HTTP/{line.version} is not served here; use HTTP/1.1", last=True)
    if line.method == b"CONNECT":
        return Refusal(405, "CONNECT is not served here", last=True, headers=b"allow: GET, HEAD, POST\r\n")
    if b"host" in head.twice or (line.version == "1.1" and b"host" not in found):
        return Refusal(400, "HTTP/1.1 requires exactly one Host header (RFC 9112, section 3.2)", last=True)
    if b"host" in found and not _is_host(found[b"host"]):
        message = f"Host must be a name or address, and a port if need be, got {_short(found[b'host'])!r}"
        return Refusal(400, message, last=True)
    transfer = found.get(b"transfer-encoding")
    if transfer is not None:
        return _odd_transfer(line, transfer, head.twice)
    return None


@lru_cache(maxsize=64)
def _is_host(value: bytes) -> bool:
    """Remembered, since clients ask for few hosts (0.1 instead of 0.5 us); a head has 32 KB, so that it holds 2 MB."""
    return _HOST.fullmatch(value.strip()) is not None


def _odd_transfer(line: RequestLine, transfer: bytes, twice: set[bytes]) -> Refusal | None:
    """The parser takes any list of codings that ends with chunked, and takes what the others made for the body."""
    if line.version == "1.0":
        return Refusal(400, "HTTP/1.0 has no Transfer-Encoding (RFC 9112, section 6.1); use HTTP/1.1", last=True)
    if b"transfer-encoding" in twice or transfer.strip().lower() != b"chunked":
        message = f"Transfer-Encoding {_short(transfer)!r} is not served; served is chunked, given once and alone"
        return Refusal(400, message, last=True)
    return None


def _too_long(line: RequestLine, limits: HttpLimits) -> Refusal | None:
    most = limits.max_url_bytes
    if len(line.url) <= most:
        return None
    return Refusal(414, f"a path may have at most {most} bytes (http.max_url_bytes), got {len(line.url)}", "too_large")


def _unwanted(head: GivenHead) -> Refusal | None:
    line, target = head.line, head.target
    if target is None:
        return Refusal(404, _no_such_path(line.url), "unknown_path")
    if not target.takes(line.method):
        allow = target.methods
        message = f"{_short(line.method)} is not served on this path; use {allow}"
        return Refusal(405, message, headers=b"allow: %b\r\n" % allow.encode())
    expect = head.found.get(b"expect")
    if expect is not None and expect.strip().lower() != b"100-continue":
        return Refusal(417, "the only expectation served is 100-continue", last=True)
    return None


def _odd_coding(head: GivenHead) -> Refusal | None:
    """What is wrong with the codings of the body and of the answer."""
    found = head.found
    encoding = found.get(b"content-encoding")
    if encoding is None and head.accepts is NOTHING_ACCEPTED:
        return None
    if head.target is None or head.target.asks not in PREDICTIONS:
        if not encoding or coding_of(encoding) == b"":
            return None
        return Refusal(415, "only bodies of predictions may be compressed; send this one as it is")
    if encoding is not None and (coding_of(encoding) is None or b"content-encoding" in head.twice):
        message = f"Content-Encoding {_short(encoding)} is not served; served is one of {SERVED}"
        return Refusal(415, message, headers=b"accept-encoding: %b\r\n" % SERVED.encode())
    if not (head.accepts.coding or head.accepts.plain):
        accepts = _short(found[b"accept-encoding"])
        return Refusal(406, f"Accept-Encoding {accepts} leaves nothing that is served; served are {SERVED}")
    return None


def _odd_json_part(head: GivenHead, body: GivenBody) -> Refusal | None:
    """What is wrong with Inference-Header-Content-Length, where it was sent."""
    given, target = head.found.get(b"inference-header-content-length"), head.target
    if given is None or target is None or target.asks not in PREDICTIONS:
        return None
    name = "Inference-Header-Content-Length"
    if target.asks is Asks.PREDICT:
        return Refusal(400, f"instances are JSON; tensors in binary ({name}) go to POST /v2/models/{{model}}/infer")
    json_size = body.json_size
    if json_size is None or b"inference-header-content-length" in head.twice:
        return Refusal(400, f"{name} must be one number of bytes, given once, got {_short(given)!r}")
    # The length of a compressed body says nothing of the JSON in it.
    if body.length is not None and not body.coding and json_size > body.length:
        return Refusal(
            400, f"{name} is {json_size}, but the body has {body.length} bytes; it is the length of the JSON part"
        )
    return None


def _too_large(body: GivenBody, limits: HttpLimits) -> Refusal | None:
    length, json_size = body.length, body.json_size
    if length is not None and length > body.longest:
        return too_large(limits, json_size, compressed=body.longest == limits.max_body_bytes, short=body.short)
    return too_large(limits, json_size) if json_size is not None and json_size > limits.max_json_bytes else None


def _odd_timeout(head: GivenHead) -> Refusal | None:
    given = head.found.get(b"x-request-timeout-ms")
    if given is None or head.timeout_s is not None:
        return None
    message = f"x-request-timeout-ms must be a positive number of milliseconds such as 50, got {_short(given)!r}"
    return Refusal(400, message)


def _odd_priority(head: GivenHead) -> Refusal | None:
    given = head.found.get(b"x-sluice-priority")
    if given is None or number(given.strip()) is not None:
        return None
    return Refusal(
        400, f"x-sluice-priority must be a whole number of 0 or more (1 is the highest), got {_short(given)!r}"
    )


def _no_such_path(url: bytes) -> str:
    return (
        f"nothing is served at {_short(url)}; predictions are at POST /v2/models/{{model}}/infer and "
        "POST /v1/models/{model}:predict, models at GET /v2/models; GET /v2/openapi.json tells every path"
    )


def _short(text: bytes) -> str:
    return text[:80].decode("ascii", "replace")
