"""A request's head: what its request line and headers ask for, or why it is refused before its body is read."""

from __future__ import annotations

import re
from typing import NamedTuple

from serving.edge.http.answers import Refusal
from serving.edge.http.content_coding import SERVED, Accepted, accepted, coding_of
from serving.edge.http.limits import HttpLimits
from serving.edge.http.routes import PREDICTIONS, SESSION, SHORT_BODIES, Asks, Target, target_of

Headers = list[tuple[bytes, bytes]]

_KNOWN = frozenset(
    (
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"accept-encoding",
        b"content-encoding",
        b"inference-header-content-length",
        b"authorization",
        b"expect",
        b"traceparent",
        b"x-sluice-key",
        b"x-sluice-variant",
        b"x-request-timeout-ms",
    ),
)
# W3C Trace Context, section 3.2; all-zero ids and version ff are invalid.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_MILLISECONDS = re.compile(rb"[0-9]{1,9}(?:\.[0-9]{1,9})?")
# No length has more digits, and int() of thousands of digits is slow.
_MAX_DIGITS = 18
# The document of an index, an unload or a change of the log has 200 bytes; 64 KB of JSON take a millisecond.
_SHORT_BYTES = 65_536
NOTHING_ACCEPTED = Accepted()
_NOWHERE = Target(Asks.ALIVE)


class RequestLine(NamedTuple):
    """What the parser knows of a request besides its headers; `upgrade` for CONNECT and `Connection: upgrade`."""

    method: bytes
    url: bytes
    version: str
    keep_alive: bool
    upgrade: bool


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
    found: dict[bytes, bytes] = {}
    twice: set[bytes] = set()
    for name, value in headers:
        key = name.lower()
        if key in _KNOWN:
            if key in found:
                twice.add(key)
            found[key] = value
    target = target_of(line.url)
    given_length = found.get(b"content-length", b"").strip()
    length = int(given_length) if given_length.isdigit() and len(given_length) <= _MAX_DIGITS else None
    json_size = _json_size(found) if target is not None and target.asks is Asks.INFER else None
    extra = _traced(found)
    # HTTP/1.0 clients close unless told otherwise.
    stays = b"connection: keep-alive\r\n" if line.version == "1.0" and line.keep_alive else b""
    expects_continue = line.version == "1.1" and found.get(b"expect", b"").strip().lower() == b"100-continue"
    inflated = limits.max_json_bytes if json_size is None else limits.max_body_bytes
    inflated = min(inflated, limits.max_body_bytes)
    short = target is not None and target.asks in SHORT_BODIES
    if short:
        inflated = min(inflated, _SHORT_BYTES)
    coding = coding_of(found.get(b"content-encoding", b""))
    longest = limits.max_body_bytes if coding else inflated
    accepts = accepted(found[b"accept-encoding"]) if b"accept-encoding" in found else NOTHING_ACCEPTED
    refusal = (
        _broken(line, found, twice)
        or _too_long(line, limits)
        or _unwanted(line, found, target)
        or _odd_coding(found, twice, target)
        or _odd_json_part(found, twice, target, None if coding else length)
        or _too_large(length, longest, json_size, limits, short=short)
    )
    timeout = found.get(b"x-request-timeout-ms")
    timeout_s = None
    if timeout is not None and refusal is None:
        timeout_s = _seconds(timeout)
        refusal = None if timeout_s else Refusal(400, _timeout_wanted(timeout))
    # A client that waits for leave to send its body may or may not send it now, so nothing after it can be trusted; and
    # a body longer than what is ever dropped is not waited for.
    if refusal and (expects_continue or (length or 0) > limits.max_discard_bytes):
        refusal = refusal._replace(last=True)
    return RequestHead(
        target=target or _NOWHERE,
        host=found.get(b"host", b"").strip(),
        length=length,
        json_size=json_size,
        longest=longest,
        longest_inflated=inflated,
        coding=coding or b"",
        accepts=accepts,
        chunked=b"transfer-encoding" in found,
        keep_alive=line.keep_alive,
        bodiless=line.method == b"HEAD",
        expects_continue=expects_continue,
        key=found.get(b"x-sluice-key", b"").strip() or None,
        pinned=found.get(b"x-sluice-variant", b"").strip().decode("latin-1") or None,
        timeout_s=timeout_s,
        extra=extra,
        stays=stays,
        wants_body=target is not None and target.asks in PREDICTIONS,
        by_name=target is not None and target.asks is Asks.PREDICT,
        waits=target is not None and target.asks in SESSION,
        authorization=found.get(b"authorization", b"").decode("latin-1"),
        plain=line.keep_alive and not extra and not stays and line.method != b"HEAD",
        refusal=refusal,
    )


def too_large(
    limits: HttpLimits, json_size: int | None = None, *, compressed: bool = False, short: bool = False
) -> Refusal:
    """The answer to a body over what JSON or any body may have; `compressed` as it came, before it is inflated.

    `short` where the path takes no more than a few settings.
    """
    most = f"{limits.max_json_mb:g} MB (http.max_json_mb)"
    if short:
        message = f"a body of this path may have at most {min(_SHORT_BYTES, limits.max_json_bytes)} bytes"
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


def _broken(line: RequestLine, found: dict[bytes, bytes], twice: set[bytes]) -> Refusal | None:
    """What makes the rest of the connection untrustworthy."""
    if line.version not in ("1.0", "1.1"):
        return Refusal(505, f"HTTP/{line.version} is not served here; use HTTP/1.1", last=True)
    if line.method == b"CONNECT":
        return Refusal(405, "CONNECT is not served here", last=True, headers=b"allow: GET, HEAD, POST\r\n")
    if line.upgrade:
        return Refusal(400, "no upgrade is served here; send the request without Upgrade and Connection", last=True)
    if b"host" in twice or (line.version == "1.1" and b"host" not in found):
        return Refusal(400, "HTTP/1.1 requires exactly one Host header (RFC 9112, section 3.2)", last=True)
    transfer = found.get(b"transfer-encoding")
    if transfer is not None:
        return _odd_transfer(line, transfer, twice)
    return None


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


def _unwanted(line: RequestLine, found: dict[bytes, bytes], target: Target | None) -> Refusal | None:
    if target is None:
        return Refusal(404, _no_such_path(line.url), "unknown_path")
    if line.method.decode("latin-1") not in target.methods.split(", "):
        allow = target.methods
        message = f"{_short(line.method)} is not served on this path; use {allow}"
        return Refusal(405, message, headers=b"allow: %b\r\n" % allow.encode())
    expect = found.get(b"expect")
    if expect is not None and expect.strip().lower() != b"100-continue":
        return Refusal(417, "the only expectation served is 100-continue", last=True)
    return None


def _odd_coding(found: dict[bytes, bytes], twice: set[bytes], target: Target | None) -> Refusal | None:
    """What is wrong with the codings of the body and of the answer."""
    encoding = found.get(b"content-encoding")
    if target is None or target.asks not in PREDICTIONS:
        if not encoding or coding_of(encoding) == b"":
            return None
        return Refusal(415, "only bodies of predictions may be compressed; send this one as it is")
    if encoding is not None and (coding_of(encoding) is None or b"content-encoding" in twice):
        message = f"Content-Encoding {_short(encoding)} is not served; served is one of {SERVED}"
        return Refusal(415, message, headers=b"accept-encoding: %b\r\n" % SERVED.encode())
    accepts = found.get(b"accept-encoding")
    if accepts is not None and accepted(accepts) == Accepted(b"", plain=False):
        return Refusal(406, f"Accept-Encoding {_short(accepts)} leaves nothing that is served; served are {SERVED}")
    return None


def _json_size(found: dict[bytes, bytes]) -> int | None:
    given = found.get(b"inference-header-content-length", b"").strip()
    return int(given) if given.isdigit() and len(given) <= _MAX_DIGITS else None


def _odd_json_part(
    found: dict[bytes, bytes], twice: set[bytes], target: Target | None, length: int | None
) -> Refusal | None:
    """What is wrong with Inference-Header-Content-Length, where it was sent."""
    given = found.get(b"inference-header-content-length")
    if given is None or target is None or target.asks not in PREDICTIONS:
        return None
    name = "Inference-Header-Content-Length"
    if target.asks is Asks.PREDICT:
        return Refusal(400, f"instances are JSON; tensors in binary ({name}) go to POST /v2/models/{{model}}/infer")
    json_size = _json_size(found)
    if json_size is None or b"inference-header-content-length" in twice:
        return Refusal(400, f"{name} must be one number of bytes, given once, got {_short(given)!r}")
    if length is not None and json_size > length:
        return Refusal(
            400, f"{name} is {json_size}, but the body has {length} bytes; it is the length of the JSON part"
        )
    return None


def _too_large(
    length: int | None, longest: int, json_size: int | None, limits: HttpLimits, *, short: bool
) -> Refusal | None:
    if length is not None and length > longest:
        return too_large(limits, json_size, compressed=longest == limits.max_body_bytes, short=short)
    return too_large(limits, json_size) if json_size is not None and json_size > limits.max_json_bytes else None


def _traced(found: dict[bytes, bytes]) -> bytes:
    traceparent = found.get(b"traceparent", b"").strip()
    return b"traceparent: %b\r\n" % traceparent if _TRACEPARENT.fullmatch(traceparent) else b""


def _seconds(milliseconds: bytes) -> float | None:
    text = milliseconds.strip()
    return float(text) / 1000 if _MILLISECONDS.fullmatch(text) and float(text) > 0 else None


def _timeout_wanted(given: bytes) -> str:
    return f"x-request-timeout-ms must be a positive number of milliseconds such as 50, got {_short(given)!r}"


def _no_such_path(url: bytes) -> str:
    return (
        f"nothing is served at {_short(url)}; predictions are at POST /v2/models/{{model}}/infer and "
        "POST /v1/models/{model}:predict, models at GET /v2/models; GET /v2/openapi.json tells every path"
    )


def _short(text: bytes) -> str:
    return text[:80].decode("ascii", "replace")
