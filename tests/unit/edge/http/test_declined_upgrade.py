"""The parser behind a head that offered another protocol."""

from __future__ import annotations

import pytest

from serving.edge.http.declined_upgrade import has_body, parser_behind
from serving.edge.http.request_head import NO_HEAD, RequestHead

GET = b"GET /v2 HTTP/1.1\r\nhost: a\r\n\r\n"


class Called:
    """What a parser called, in its order."""

    def __init__(self) -> None:
        self.order: list[object] = []

    def on_message_begin(self) -> None:
        self.order.append("begin")

    def on_url(self, url: bytes) -> None:
        self.order.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.order.append((name, value))

    def on_headers_complete(self) -> None:
        self.order.append("head")

    def on_body(self, data: bytes) -> None:
        self.order.append(data)

    def on_message_complete(self) -> None:
        self.order.append("end")


NEXT = ["begin", b"/v2", (b"host", b"a"), "head", "end"]


@pytest.mark.parametrize(
    ("head", "body", "called"),
    [
        (None, b"", []),
        (NO_HEAD._replace(length=3), b"abc", [b"abc", "end"]),
        (NO_HEAD._replace(chunked=True), b"3\r\nabc\r\n0\r\nx: 1\r\n\r\n", [b"abc", (b"x", b"1"), "end"]),
    ],
)
def test_it_goes_on_with_the_body_and_then_with_other_requests(
    head: RequestHead | None, body: bytes, called: list[object]
) -> None:
    callbacks = Called()
    parser = parser_behind(head, callbacks)
    assert callbacks.order == []
    parser.feed_data(body + GET)
    assert callbacks.order == called + NEXT


def test_a_body_is_announced_by_a_length_or_by_chunks() -> None:
    assert has_body(NO_HEAD._replace(length=1))
    assert has_body(NO_HEAD._replace(chunked=True))
    assert not has_body(NO_HEAD)
    assert not has_body(NO_HEAD._replace(length=0))
