"""Heads: what they ask for, and why some are refused before a body is read."""

from __future__ import annotations

import pytest

from serving.edge.http.given_head import Headers, RequestLine
from serving.edge.http.limits import HttpLimits
from serving.edge.http.request_head import RequestHead, understand
from serving.inference import CallerContext

LINE = RequestLine(b"POST", b"/v2/models/m/infer", "1.1", keep_alive=True)
HOST = (b"Host", b"a")
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def head(*headers: tuple[bytes, bytes], line: RequestLine = LINE, host: bool = True) -> RequestHead:
    given: Headers = [HOST, *headers] if host else list(headers)
    return understand(line, given, HttpLimits())


def status(*headers: tuple[bytes, bytes], line: RequestLine = LINE, host: bool = True) -> int:
    refusal = head(*headers, line=line, host=host).refusal
    return 0 if refusal is None else refusal.status


def test_the_headers_of_a_prediction_are_understood() -> None:
    understood = head(
        (b"X-Sluice-Key", b" N14228 "), (b"x-sluice-variant", b"canary"), (b"X-Request-Timeout-Ms", b"12.5")
    )
    assert understood.refusal is None
    assert (understood.key, understood.pinned, understood.timeout_s) == (b"N14228", "canary", 0.0125)


@pytest.mark.parametrize("value", [b"0", b"-1", b"nan", b"inf", b"1e3", b"", b"x", b"1_000", b"99999999999"])
def test_a_timeout_is_a_positive_number_of_milliseconds(value: bytes) -> None:
    assert status((b"x-request-timeout-ms", value)) == 400


@pytest.mark.parametrize("value", [b"1", b"0.5", b"60000"])
def test_a_good_timeout_is_taken(value: bytes) -> None:
    assert head((b"x-request-timeout-ms", value)).timeout_s == float(value) / 1000


@pytest.mark.parametrize("value", [b"-1", b"high", b"", b"1.5", b"9" * 30])
def test_a_priority_is_a_whole_number(value: bytes) -> None:
    assert status((b"x-sluice-priority", value)) == 400


def test_a_good_priority_is_taken() -> None:
    assert [head((b"x-sluice-priority", value)).priority for value in (b"0", b"3", b" 12 ")] == [0, 3, 12]
    assert head().priority == 0


def test_host_is_required_once_on_http_1_1_only() -> None:
    assert status(host=False) == 400
    assert status(HOST) == 400
    assert status(line=LINE._replace(version="1.0"), host=False) == 0


@pytest.mark.parametrize(
    ("host", "code"),
    [
        *[(host, 0) for host in (b"", b"a", b"a.b:80", b"my_pod", b"10.0.0.1:8080", b"[::1]:80", b"[fe80::1%25eth0]")],
        *[(host, 400) for host in (b"a b", b"a/b", b"u@a", b"a:b", b"a:1:2", b"[::1", b"a\\b", b"a\xff", b"a%", b"a#")],
    ],
)
def test_a_host_is_a_name_or_an_address_with_a_port_if_need_be(host: bytes, code: int) -> None:
    assert status((b"host", host), host=False) == code


@pytest.mark.parametrize("version", ["2.0", "0.9", "3.0"])
def test_other_versions_of_http_are_refused(version: str) -> None:
    refusal = head(line=LINE._replace(version=version)).refusal
    assert refusal is not None
    assert (refusal.status, refusal.last) == (505, True)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (LINE._replace(method=b"CONNECT", url=b"a:80"), 405),
        (LINE._replace(method=b"GET"), 405),
        (LINE._replace(method=b"PUT", url=b"/v2"), 405),
        (LINE._replace(method=b"OPTIONS", url=b"*"), 404),
        (LINE._replace(url=b"/nowhere"), 404),
    ],
)
def test_other_methods_and_paths_are_refused(line: RequestLine, code: int) -> None:
    assert status(line=line) == code


def test_a_wrong_method_is_told_the_right_ones() -> None:
    refusal = head(line=LINE._replace(method=b"GET")).refusal
    assert refusal is not None
    assert refusal.headers == b"allow: POST\r\n"
    assert "use POST" in refusal.message


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ((b"expect", b"100-Continue"), 0),
        ((b"expect", b"202-ok"), 417),
        ((b"content-encoding", b"identity"), 0),
        ((b"content-encoding", b"GZIP"), 0),
        ((b"content-encoding", b"br"), 415),
        ((b"content-encoding", b"gzip, deflate"), 415),
        ((b"accept-encoding", b"br"), 0),
        ((b"accept-encoding", b"br, identity;q=0"), 406),
        ((b"inference-header-content-length", b"10"), 0),
        ((b"content-length", str(8 << 20).encode()), 0),
        ((b"content-length", str((8 << 20) + 1).encode()), 413),
    ],
)
def test_what_is_not_served_is_refused_by_its_header(header: tuple[bytes, bytes], code: int) -> None:
    assert status(header) == code


def test_only_bodies_of_predictions_are_compressed() -> None:
    assert status((b"content-encoding", b"gzip"), line=LINE._replace(url=b"/v2/repository/index")) == 415
    assert status((b"content-encoding", b"identity"), line=LINE._replace(url=b"/v2/repository/index")) == 0


def test_a_body_too_large_to_be_dropped_closes_the_connection() -> None:
    too_large = head((b"content-length", b"9000000")).refusal
    huge = head((b"content-length", b"99999999999")).refusal
    lost = head((b"content-length", b"99999999999"), line=LINE._replace(url=b"/nowhere")).refusal
    assert too_large is not None
    assert huge is not None
    assert lost is not None
    assert (too_large.last, huge.last, lost.last) == (False, True, True)
    assert "max_json_mb" in too_large.message
    assert "binary" in too_large.message


@pytest.mark.parametrize(
    ("value", "echoed"),
    [
        (TRACE, True),
        (b"ff" + TRACE[2:], False),
        (TRACE.upper(), False),
        (b"00-" + b"0" * 32 + TRACE[35:], False),
        (TRACE + b"-x", False),
        (b"", False),
    ],
)
def test_only_a_well_formed_traceparent_is_echoed(value: bytes, echoed: bool) -> None:
    assert head((b"traceparent", value)).extra == (b"traceparent: " + value + b"\r\n" if echoed else b"")


def test_answers_to_http_1_0_say_that_the_connection_stays() -> None:
    old = LINE._replace(version="1.0")
    assert head(line=old).stays == b"connection: keep-alive\r\n"
    assert head(line=old._replace(keep_alive=False)).stays == b""
    assert head().stays == b""


def test_a_tracestate_goes_back_beside_its_traceparent_and_not_without() -> None:
    state = b"vendor=1"
    lines = b"traceparent: " + TRACE + b"\r\ntracestate: vendor=1\r\n"
    assert head((b"traceparent", TRACE), (b"tracestate", state)).extra == lines
    assert head((b"tracestate", state)).extra == b""
    assert head((b"traceparent", TRACE), (b"traceparent", TRACE), (b"tracestate", state)).extra == b""


def test_a_tracestate_in_several_headers_is_one_list() -> None:
    parts = ((b"tracestate", b"a=1"), (b"TraceState", b"b=2,\tc=3"))
    assert head((b"traceparent", TRACE), *parts).context == CallerContext(TRACE, b"a=1,b=2, c=3")


def test_a_callers_name_for_a_request_does_not_change_its_answer() -> None:
    found = head((b"x-request-id", b"r-17"))
    assert found.context == CallerContext(request_id=b"r-17")
    assert found.plain
    assert head().context is None
