"""Headers of a call: what they ask for, or why it is refused."""

from __future__ import annotations

import pytest

from serving.edge.grpc.call_head import CallHead, understand
from serving.edge.grpc.status import Code
from serving.inference import CallerContext


def head(*more: tuple[bytes, bytes], kind: bytes = b"application/grpc", method: bytes = b"POST") -> CallHead:
    return understand(((b":method", method), (b":path", b"/a/B"), (b"content-type", kind), *more))


def test_metadata_says_key_variant_and_trace() -> None:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    found = head((b"x-sluice-key", b"k"), (b"x-sluice-variant", b"canary"), (b"traceparent", trace))
    assert (found.path, found.key, found.pinned, found.refusal) == ("/a/B", b"k", "canary", None)
    assert found.extra == ((b"traceparent", trace),)
    assert head((b"traceparent", b"nonsense")).extra == ()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"1H", 3600),
        (b"2M", 120),
        (b"3S", 3),
        (b"250m", 0.25),
        (b"5u", 5e-6),
        (b"7n", 7e-9),
        (b"99999999H", 359999996400),
    ],
)
def test_a_deadline_is_a_number_and_a_unit(text: bytes, seconds: float) -> None:
    assert head((b"grpc-timeout", text)).timeout_s == pytest.approx(seconds)


@pytest.mark.parametrize("text", [b"", b"1", b"S", b"1.5S", b"-1S", b"123456789S", b"1h"])
def test_any_other_deadline_is_refused(text: bytes) -> None:
    refusal = head((b"grpc-timeout", text)).refusal
    assert refusal is not None
    assert refusal.code is Code.INVALID_ARGUMENT


def test_an_unknown_encoding_is_unimplemented_and_told_what_is_known() -> None:
    refusal = head((b"grpc-encoding", b"snappy")).refusal
    assert refusal is not None
    assert (refusal.code, refusal.message) == (
        Code.UNIMPLEMENTED,
        "grpc-encoding 'snappy' is not served; use identity, gzip, deflate",
    )


@pytest.mark.parametrize("kind", [b"application/grpc", b"application/grpc+proto", b"application/grpc;charset=utf-8"])
def test_a_call_is_known_by_its_content_type(kind: bytes) -> None:
    assert head(kind=kind).refusal is None


@pytest.mark.parametrize(
    ("kind", "method", "status"),
    [
        (b"application/json", b"POST", 415),
        (b"application/grpc-web", b"POST", 415),
        (b"", b"POST", 415),
        (b"application/grpc+json", b"POST", 200),
        (b"application/grpc", b"GET", 405),
    ],
)
def test_what_is_no_call_is_refused(kind: bytes, method: bytes, status: int) -> None:
    refusal = head(kind=kind, method=method).refusal
    assert refusal is not None
    assert refusal.http_status == status


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ((b"x-note", b"short"), True),
        ((b"x-note", b"a" * 3000), True),
        ((b"x-note", b"a" * 5000), False),
        ((b"authorization", b"Bearer a"), False),
        ((b"grpc-encoding", b"snappy"), False),
    ],
)
def test_heads_are_remembered_unless_they_are_large_or_secret_or_refused(more: tuple[bytes, bytes], kept: bool) -> None:
    # A time of its own, so that no other test has asked the same.
    again = [head(more, (b"grpc-timeout", b"%dm" % (80_000 + len(more[1])))) for _ in range(2)]
    assert again[0] == again[1]
    assert (again[0] is again[1]) is kept


def test_a_tracestate_goes_back_beside_its_traceparent_and_not_without() -> None:
    trace, state = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", (b"tracestate", b"vendor=1")
    found = head((b"traceparent", trace), state, (b"x-request-id", b"r-17"))
    assert found.extra == ((b"traceparent", trace), state)
    assert found.context == CallerContext(trace, b"vendor=1", b"r-17")
    assert head(state).extra == ()
    assert head().context is None


def test_what_came_twice_says_nothing_but_a_tracestate_which_is_one_list() -> None:
    trace = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    found = head(trace, (b"tracestate", b"a=1"), (b"tracestate", b"b=2"), (b"x-request-id", b"r"))
    assert found.context == CallerContext(trace[1], b"a=1,b=2", b"r")
    assert head(trace, trace, (b"tracestate", b"a=1")).context is None
    assert head(trace, (b"x-request-id", b"r"), (b"x-request-id", b"s")).context == CallerContext(trace[1])
