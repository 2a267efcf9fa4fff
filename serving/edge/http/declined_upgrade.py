"""A request that offers another protocol goes on in this one (RFC 9110, section 7.8): the parser that reads its body.

Java's own client offers HTTP/2 with every request. httptools takes such a request for one without a body, and what
follows for the other protocol: where a body is still to come, a parser that was told its framing goes on from there.
"""

from __future__ import annotations

from typing import Protocol

import httptools

from serving.edge.http.request_head import RequestHead


class Callbacks(Protocol):
    """What a parser calls."""

    def on_message_begin(self) -> None: ...  # noqa: D102 - httptools'
    def on_url(self, url: bytes) -> None: ...  # noqa: D102 - httptools'
    def on_header(self, name: bytes, value: bytes) -> None: ...  # noqa: D102 - httptools'
    def on_headers_complete(self) -> None: ...  # noqa: D102 - httptools'
    def on_body(self, data: bytes) -> None: ...  # noqa: D102 - httptools'
    def on_message_complete(self) -> None: ...  # noqa: D102 - httptools'


class _AfterHead:
    """Passes on what is called once it is `open`."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self.open = False

    def on_message_begin(self) -> None:
        if self.open:
            self._callbacks.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self.open:
            self._callbacks.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.open:
            self._callbacks.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.open:
            self._callbacks.on_headers_complete()

    def on_body(self, data: bytes) -> None:
        self._callbacks.on_body(data)

    def on_message_complete(self) -> None:
        self._callbacks.on_message_complete()


def has_body(head: RequestHead) -> bool:
    """Whether a body follows the head."""
    return head.chunked or bool(head.length)


def parser_behind(head: RequestHead | None, callbacks: Callbacks) -> httptools.HttpRequestParser:
    """A parser for what follows: the body of `head`, where one is still to come, and other requests."""
    if head is None:
        return httptools.HttpRequestParser(callbacks)
    after = _AfterHead(callbacks)
    parser = httptools.HttpRequestParser(after)
    framing = b"transfer-encoding: chunked" if head.chunked else b"content-length: %d" % (head.length or 0)
    parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
    after.open = True
    return parser
