"""What a head brings: the headers that mean something here, and the body that they announce."""

from __future__ import annotations

import pytest

from serving.edge.http.given_head import SHORT_BYTES, GivenBody, Headers, RequestLine, given_body, given_head
from serving.edge.http.limits import HttpLimits

LINE = RequestLine(b"POST", b"/v2/models/m/infer", "1.1", keep_alive=True)
LIMITS = HttpLimits(max_body_mb=64, max_json_mb=8)
MB = 1 << 20


def body(*headers: tuple[bytes, bytes], url: bytes = LINE.url, limits: HttpLimits = LIMITS) -> GivenBody:
    return given_body(given_head(LINE._replace(url=url), list(headers)), limits)


def test_the_last_of_several_values_counts_and_that_there_were_several_is_told() -> None:
    headers: Headers = [(b"Host", b"a"), (b"x-other", b"1"), (b"hOST", b" b "), (b"x-other", b"2")]
    head = given_head(LINE, headers)
    assert (head.found, head.twice, head.stripped(b"host")) == ({b"host": b" b "}, {b"host"}, b"b")


def test_leave_to_send_a_body_is_not_waited_for_over_http_1_0() -> None:
    for version, waits in (("1.1", True), ("1.0", False)):
        head = given_head(LINE._replace(version=version), [(b"Expect", b"100-Continue")])
        assert head.expects_continue is waits


@pytest.mark.parametrize(
    ("version", "values", "stays"),
    [
        ("1.0", [b"keep-alive"], True),
        ("1.0", [b"Keep-Alive, Close"], False),
        ("1.0", [b"close", b"keep-alive"], False),
        ("1.0", [b"keep-alive, closed"], True),
        ("1.1", [], True),
    ],
)
def test_a_client_of_http_1_0_that_says_both_is_closed(version: str, values: list[bytes], stays: bool) -> None:
    head = given_head(LINE._replace(version=version), [(b"Connection", value) for value in values])
    assert head.line.keep_alive is stays


@pytest.mark.parametrize(
    ("headers", "longest", "inflated"),
    [
        ([], 8, 8),
        ([(b"inference-header-content-length", b"10")], 64, 64),
        ([(b"content-encoding", b"gzip")], 64, 8),
        ([(b"content-encoding", b"gzip"), (b"inference-header-content-length", b"10")], 64, 64),
    ],
)
def test_json_may_be_shorter_than_tensors_in_binary_and_is_measured_inflated(
    headers: Headers, longest: int, inflated: int
) -> None:
    found = body(*headers)
    assert (found.longest, found.longest_inflated) == (longest * MB, inflated * MB)


def test_json_is_never_longer_than_a_body_may_be() -> None:
    assert body(limits=HttpLimits(max_body_mb=4, max_json_mb=8)).longest == 4 * MB


def test_where_only_settings_are_taken_the_body_is_short() -> None:
    for url, short in ((b"/v2/logging", True), (b"/v2/repository/models/m/load", False)):
        found = body(url=url)
        assert (found.short, found.longest == SHORT_BYTES) == (short, short)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        *[(b" 7 ", 7), (b"0" * 50 + b"7", 7), (b"0" * 50, 0), (b"9" * 20, 10**20 - 1)],
        *[(value, None) for value in (b"", b"-1", b"+1", b"9" * 21)],
    ],
)
def test_a_length_is_a_number_of_bytes(value: bytes, length: int | None) -> None:
    assert body((b"content-length", value)).length == length
