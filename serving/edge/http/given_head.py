"""A request's head as it came: its request line, the headers that mean something here, and the body they announce."""

from __future__ import annotations

import re
from typing import NamedTuple

from serving.edge.http.content_coding import Accepted, accepted, coding_of
from serving.edge.http.limits import HttpLimits
from serving.edge.http.routes import SHORT_BODIES, Asks, Target, target_of
from serving.inference import CallerContext
from serving.telemetry.caller_context import caller_context

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
        b"tracestate",
        b"x-request-id",
        b"x-sluice-key",
        b"x-sluice-variant",
        b"x-request-timeout-ms",
        b"x-sluice-priority",
    ),
)
_CONTEXT = (b"traceparent", b"x-request-id")
_MILLISECONDS = re.compile(rb"[0-9]{1,9}(?:\.[0-9]{1,9})?")
# No length has more digits: the parser takes 64 bits, with zeros before them.
_MAX_DIGITS = 20
# The document of an index, an unload or a change of the log has 200 bytes; 64 KB of JSON take a millisecond.
SHORT_BYTES = 65_536
NOTHING_ACCEPTED = Accepted()


class RequestLine(NamedTuple):
    """What the parser knows of a request besides its headers."""

    method: bytes
    url: bytes
    version: str
    keep_alive: bool


class GivenHead(NamedTuple):
    """The last value of each known header (of tracestate, which is a list, all), names in small letters; `twice` are
    those that came more often.

    `timeout_s` is None also where what was sent is no positive number of milliseconds.
    """

    line: RequestLine
    target: Target | None
    found: dict[bytes, bytes]
    twice: set[bytes]
    accepts: Accepted
    timeout_s: float | None

    def stripped(self, name: bytes) -> bytes:
        """A header's value without blanks around it; b"" where it was not sent."""
        return self.found.get(name, b"").strip()

    @property
    def context(self) -> CallerContext | None:
        """What it says of the caller's trace, and the caller's name for the request; what came twice says nothing."""
        found, twice = self.found, self.twice
        if b"traceparent" not in found and b"x-request-id" not in found:
            return None
        traceparent, request_id = [b"" if name in twice else found.get(name, b"") for name in _CONTEXT]
        return caller_context(traceparent, found.get(b"tracestate", b""), request_id)

    @property
    def expects_continue(self) -> bool:
        """The client waits for leave to send its body; one of HTTP/1.0 cannot."""
        return self.line.version == "1.1" and self.stripped(b"expect").lower() == b"100-continue"


class GivenBody(NamedTuple):
    """What the head says of the body, and how much is taken of such a one; for the fields see `RequestHead`.

    `coding` is None where it is none that is served, `short` tells that the path takes no more than a few settings.
    """

    length: int | None
    json_size: int | None
    coding: bytes | None
    longest: int
    longest_inflated: int
    short: bool


def given_head(line: RequestLine, headers: Headers) -> GivenHead:
    """Which of the headers mean something here."""
    if line.version == "1.0" and line.keep_alive and _closes(headers):
        line = line._replace(keep_alive=False)
    found: dict[bytes, bytes] = {}
    twice: set[bytes] = set()
    for name, value in headers:
        key = name.lower()
        if key in _KNOWN:
            if key in found:
                twice.add(key)
                if key == b"tracestate":
                    # The only one that is a list, whose members may come in several headers.
                    value = b"%b,%b" % (found[key], value)  # noqa: PLW2901
            found[key] = value
    accepts = accepted(found[b"accept-encoding"]) if b"accept-encoding" in found else NOTHING_ACCEPTED
    timeout_s = _seconds(found[b"x-request-timeout-ms"].strip()) if b"x-request-timeout-ms" in found else None
    return GivenHead(line, target_of(line.url), found, twice, accepts, timeout_s)


def given_body(head: GivenHead, limits: HttpLimits) -> GivenBody:
    """The body that a head announces."""
    target, found, most = head.target, head.found, limits.max_body_bytes
    json_size = None
    if b"inference-header-content-length" in found and target is not None and target.asks is Asks.INFER:
        json_size = number(found[b"inference-header-content-length"].strip())
    inflated = most if json_size is not None else min(limits.max_json_bytes, most)
    short = target is not None and target.asks in SHORT_BODIES
    if short:
        inflated = min(inflated, SHORT_BYTES)
    coding = coding_of(found[b"content-encoding"]) if b"content-encoding" in found else b""
    length = number(found.get(b"content-length", b"").strip())
    return GivenBody(length, json_size, coding, most if coding else inflated, inflated, short)


def _closes(headers: Headers) -> bool:
    """Whether a client of HTTP/1.0 says both: `close` wins (RFC 9112, section 9.3), which the parser does not know."""
    options = b",".join([value for name, value in headers if name.lower() == b"connection"])
    return b"close" in [option.strip() for option in options.lower().split(b",")]


def _seconds(milliseconds: bytes) -> float | None:
    return float(milliseconds) / 1000 if _MILLISECONDS.fullmatch(milliseconds) and float(milliseconds) > 0 else None


def number(digits: bytes) -> int | None:
    """A whole number, or None where it is none, or larger than any body."""
    if len(digits) > _MAX_DIGITS:
        # int() of thousands of digits is slow.
        digits = digits.lstrip(b"0") or b"0"
    return int(digits) if digits.isdigit() and len(digits) <= _MAX_DIGITS else None
