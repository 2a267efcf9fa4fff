"""What callers say of their traces, and what of it is believed."""

from __future__ import annotations

import pytest

from serving.inference import CallerContext
from serving.telemetry.caller_context import caller_context, request_id_of, sampled, trace_of

GOOD = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_trace_is_read() -> None:
    found = trace_of(caller_context(GOOD, b" a=1,b=2 ", b""))
    assert found is not None
    assert (found.trace_id.hex(), found.span_id.hex()) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert found.state == "a=1,b=2"


@pytest.mark.parametrize(
    ("flags", "traces"),
    [(b"00", False), (b"01", True), (b"02", False), (b"03", True), (b"0a", False), (b"1b", True), (b"ff", True)],
)
def test_the_lowest_flag_says_whether_the_caller_traces(flags: bytes, traces: bool) -> None:
    context = caller_context(GOOD[:-2] + flags, b"", b"")
    assert context is not None
    assert sampled(context) is traces


@pytest.mark.parametrize(
    "traceparent",
    [b"", b"00", GOOD.upper(), b"ff" + GOOD[2:], GOOD[:3] + b"0" * 32 + GOOD[35:], GOOD[:36] + b"0" * 16 + GOOD[52:]],
)
def test_without_a_valid_traceparent_a_tracestate_says_nothing(traceparent: bytes) -> None:
    assert caller_context(traceparent, b"a=1", b"") is None


def test_what_a_later_version_adds_is_passed_on_unread() -> None:
    later = b"01" + GOOD[2:] + b"-more-0"
    context = caller_context(later, b"a=1,\tb=2", b"")
    assert context == CallerContext(later, b"a=1, b=2")
    assert context is not None
    found = trace_of(context)
    assert found is not None
    assert found.span_id.hex() == "00f067aa0ba902b7"
    assert sampled(context)
    assert caller_context(GOOD + b"-more", b"", b"") is None
    assert caller_context(b"01" + GOOD[2:] + b"more", b"", b"") is None


@pytest.mark.parametrize("state", [b"a" * 513, b"a=\x00", b"a=\xff"])
def test_a_tracestate_that_cannot_be_passed_on_is_left_out(state: bytes) -> None:
    assert caller_context(GOOD, state, b"") == CallerContext(GOOD)


def test_a_callers_name_for_a_request_is_taken_where_it_fits_a_line() -> None:
    assert request_id_of(caller_context(b"", b"", b" r-1 ")) == "r-1"
    assert request_id_of(None) == ""
    for odd in (b"two words", b"x" * 129, b"\xff", b"a\nb"):
        assert request_id_of(caller_context(b"", b"", odd)) == ""
