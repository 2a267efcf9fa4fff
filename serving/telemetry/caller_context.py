"""What callers say of their traces, as W3C Trace Context has it, and the name that they give a request."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from serving.inference import CallerContext

# W3C Trace Context, section 3.2; all-zero ids and version ff are invalid.
# A later version than 00 may have more behind a dash, of which nothing is read.
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"(?P<more>-[\x21-\x7e]{0,200})?"
)
_FIRST_VERSION = b"00"
# Section 3.3 has at least 512 characters passed on; what has more, or other bytes, may be left out.
_TRACESTATE = re.compile(rb"[\x20-\x7e]{1,512}")
_TAB, _BLANK = b"\t", b" "
# Fit for a log line and for an attribute; names that are longer, or hold anything else, are taken for none.
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
# Where the parts of a traceparent begin; what a later version than 00 adds comes behind them.
_TRACE_ID: Final = 3
_SPAN_ID: Final = 36
_LAST_FLAG: Final = 54
# Hexadecimal digits whose lowest bit, the flag `sampled`, is set.
_SAMPLED: Final = b"13579bdf"


class CallerTrace(NamedTuple):
    """The span of the caller that a request belongs to; ids in bytes, `state` its tracestate."""

    trace_id: bytes
    span_id: bytes
    state: str


def caller_context(traceparent: bytes, tracestate: bytes, request_id: bytes) -> CallerContext | None:
    """What these headers say together, without blanks around them; None where nothing of it can be used.

    A tracestate without a valid traceparent says nothing (section 4.3).
    """
    traceparent = traceparent.strip()
    if traceparent and _is_one(traceparent):
        # Blanks around the members of its list may be tabs, which metadata of gRPC must not hold.
        tracestate = tracestate.strip().replace(_TAB, _BLANK)
        state = tracestate if _TRACESTATE.fullmatch(tracestate) else b""
        return CallerContext(traceparent, state, request_id.strip())
    # Requests behind a proxy have a name each: it is looked at by whoever writes it down.
    return CallerContext(request_id=request_id.strip()) if request_id else None


def _is_one(traceparent: bytes) -> bool:
    found = _TRACEPARENT.fullmatch(traceparent)
    return found is not None and (found["more"] is None or not traceparent.startswith(_FIRST_VERSION))


def trace_of(context: CallerContext | None) -> CallerTrace | None:
    """The caller's span; None where it named none."""
    if context is None or not context.traceparent:
        return None
    said = context.traceparent
    trace_id, span_id = said[_TRACE_ID : _TRACE_ID + 32], said[_SPAN_ID : _SPAN_ID + 16]
    return CallerTrace(bytes.fromhex(trace_id.decode()), bytes.fromhex(span_id.decode()), context.tracestate.decode())


def sampled(context: CallerContext) -> bool:
    """Whether a caller that named its span traces the request; asked of each, so nothing else is read."""
    return context.traceparent[_LAST_FLAG] in _SAMPLED


def request_id_of(context: CallerContext | None) -> str:
    """The caller's name for the request where it is fit to be written down, else ""."""
    if context is None or not _REQUEST_ID.fullmatch(context.request_id):
        return ""
    return context.request_id.decode()
