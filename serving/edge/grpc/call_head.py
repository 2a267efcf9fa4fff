"""A call's head: what its headers ask for, or why it is refused before its message is read."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from serving.edge.grpc.answers import Refusal
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.grpc.status import Code
from serving.errors import TooLarge
from serving.inference import CallerContext
from serving.telemetry.caller_context import caller_context

Headers = tuple[tuple[bytes, bytes], ...]

ENCODINGS = (b"identity", b"gzip", b"deflate")

# gRPC over HTTP/2: TimeoutValue and TimeoutUnit.
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_OVERHEAD = 32
_CONTEXT = (b"traceparent", b"x-request-id")
_LONGEST_REMEMBERED = 4096
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


class CallHead(NamedTuple):
    """Headers understood; a pure function of them, so that equal ones need not be understood twice.

    `encoding` is that of compressed messages, `extra` metadata that the answer begins with. `size` and
    `entries` are those of all headers, the size as HTTP/2 counts it (RFC 9113, section 6.5.2).
    """

    path: str
    key: bytes | None = None
    pinned: str | None = None
    timeout_s: float | None = None
    encoding: bytes = b"identity"
    extra: tuple[tuple[bytes, bytes], ...] = ()
    context: CallerContext | None = None
    authorization: str = ""
    size: int = 0
    entries: int = 0
    refusal: Refusal | None = None


class _PassingError(Exception):
    """Carries a head past the cache, which keeps what is returned and nothing that is raised."""

    def __init__(self, head: CallHead) -> None:
        super().__init__()
        self.head = head


def understand(headers: Headers) -> CallHead:
    """The head of a call; what is wrong with it is its `refusal`. Large ones and secrets are not kept."""
    try:
        return _remembered(headers)
    except _PassingError as passing:
        return passing.head


def too_much(head: CallHead, limits: GrpcLimits) -> Refusal | None:
    """Why there is more metadata than is taken, or None."""
    if head.size <= limits.max_head_bytes and head.entries <= limits.max_headers:
        return None
    message = (
        f"the metadata has {head.entries} entries and {head.size} bytes; at most {limits.max_headers} entries "
        f"(grpc.max_headers) and {limits.max_head_bytes} bytes (grpc.max_head_bytes) are taken"
    )
    return Refusal(Code.RESOURCE_EXHAUSTED, message, TooLarge.reason)


@lru_cache(maxsize=1024)
def _remembered(headers: Headers) -> CallHead:
    head = _understood(headers)
    if head.size > _LONGEST_REMEMBERED or head.authorization or head.refusal is not None:
        raise _PassingError(head)
    return head


def _understood(headers: Headers) -> CallHead:
    found = dict(headers)
    timeout = found.get(b"grpc-timeout")
    context = _context(headers) if b"traceparent" in found or b"x-request-id" in found else None
    head = CallHead(
        path=found.get(b":path", b"").decode("latin-1"),
        key=found.get(b"x-sluice-key", b"").strip() or None,
        pinned=found.get(b"x-sluice-variant", b"").strip().decode("latin-1") or None,
        timeout_s=None if timeout is None else _seconds(timeout),
        encoding=found.get(b"grpc-encoding", b"identity").strip().lower(),
        authorization=found.get(b"authorization", b"").decode("latin-1"),
        size=sum([len(name) + len(value) + _OVERHEAD for name, value in headers]),
        entries=len(headers),
        context=context,
        extra=() if context is None else _traced(context),
    )
    return head._replace(refusal=_no_grpc(found) or _unwanted(head, timeout))


def _context(headers: Headers) -> CallerContext | None:
    """As over HTTP: what came twice says nothing, but for a list, which may come in several entries."""
    given = [[value for key, value in headers if key == name] for name in _CONTEXT]
    traceparent, request_id = [values[0] if len(values) == 1 else b"" for values in given]
    state = b",".join([value for key, value in headers if key == b"tracestate"])
    return caller_context(traceparent, state, request_id)


def _traced(context: CallerContext) -> tuple[tuple[bytes, bytes], ...]:
    """The caller's trace as its answer names it."""
    if not context.traceparent:
        return ()
    extra = ((b"traceparent", context.traceparent),)
    return (*extra, (b"tracestate", context.tracestate)) if context.tracestate else extra


def _no_grpc(found: dict[bytes, bytes]) -> Refusal | None:
    kind = found.get(b"content-type", b"")
    if not kind.startswith(b"application/grpc") or kind[16:17] not in (b"", b"+", b";"):
        message = f"this port speaks gRPC: content-type must be application/grpc, got {_short(kind)!r}"
        return Refusal(Code.INVALID_ARGUMENT, message, http_status=415)
    if found.get(b":method") != b"POST":
        message = f"gRPC calls are POST requests, got {_short(found.get(b':method', b''))}"
        return Refusal(Code.INVALID_ARGUMENT, message, http_status=405)
    if kind[16:17] == b"+" and not kind.startswith(b"application/grpc+proto"):
        return Refusal(Code.INVALID_ARGUMENT, f"messages must be protobuf (application/grpc), got {_short(kind)!r}")
    return None


def _unwanted(head: CallHead, timeout: bytes | None) -> Refusal | None:
    if head.encoding not in ENCODINGS:
        known = b", ".join(ENCODINGS).decode()
        message = f"grpc-encoding {_short(head.encoding)!r} is not served; use {known}"
        return Refusal(Code.UNIMPLEMENTED, message)
    if timeout is not None and head.timeout_s is None:
        message = f"grpc-timeout must be at most eight digits and a unit (H, M, S, m, u, n), got {_short(timeout)!r}"
        return Refusal(Code.INVALID_ARGUMENT, message)
    return None


def _seconds(timeout: bytes) -> float | None:
    match = _TIMEOUT.fullmatch(timeout.strip())
    return int(match[1]) * _UNITS[match[2]] if match else None


def _short(text: bytes) -> str:
    return text[:80].decode("ascii", "replace")
