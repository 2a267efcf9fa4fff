"""Bytes of one connection to requests: the parser's callbacks, and every bound on what a client may send."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Protocol

import httptools

from serving.edge.http.answers import Refusal
from serving.edge.http.body_room import room_for
from serving.edge.http.declined_upgrade import has_body, parser_behind
from serving.edge.http.edge import Edge
from serving.edge.http.given_head import Headers, RequestLine
from serving.edge.http.head_refusal import too_large
from serving.edge.http.request_head import NO_HEAD, RequestHead, understand
from serving.edge.http.routes import SHORT_BODIES
from serving.inference import Buffer

# A head up to this size is remembered and compared with the next one.
_REMEMBERED = 4096
_HEAD_END = b"\r\n\r\n"
_MAX_DIGITS = 9
# A body from this size on is put in its place as it arrives; below it most come in one read.
_LARGE = 262_144
_LENGTH_LINE = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})\r\n", re.IGNORECASE)


class Stage(IntEnum):
    """Where in a message the client is; after DEAF nothing it sends is looked at."""

    BETWEEN = 0
    HEAD = 1
    BODY = 2
    DEAF = 3


# A look at a member of an enum costs 0.15 us, at a name of this file nothing.
_BETWEEN, _HEAD, _BODY, _DEAF = Stage


class Sink(Protocol):
    """Who takes whole requests."""

    def arrived(self, head: RequestHead, body: Buffer) -> None:
        """A request is complete; its body's bytes are counted in the budget and now the sink's to give back."""

    def refused(self, head: RequestHead, refusal: Refusal) -> None:
        """A request is refused; what is left of its body will be dropped as it arrives."""

    def wants_continue(self) -> None:
        """The client waits for leave to send its body."""

    def ended(self) -> None:
        """Nothing more will come of this connection: close it once what is owed was answered."""


class _Stop(Exception):
    """Raised in a callback to end the parser's work on what it was fed."""


class Intake:
    """Feeds the parser, and skips it for a head that is byte for byte the previous one but for its Content-Length.

    Clients with kept-alive connections repeat their heads, and equal bytes at a message's start parse equally: to
    compare them costs 0.1 us, to parse them 10 us. What may differ from request to request (room, refusals) is asked
    again.
    """

    # Compiled, only these may be deleted.
    __deletable__ = ("_parser", "_sink")
    __slots__ = (
        "_begun",
        "_body_size",
        "_dropping",
        "_edge",
        "_fed_without_body",
        "_first_head",
        "_head",
        "_headers",
        "_kept",
        "_large",
        "_left",
        "_memo",
        "_memo_head",
        "_memo_tail",
        "_parser",
        "_parts",
        "_sink",
        "_url",
        "since",
        "stage",
    )

    def __init__(self, edge: Edge, sink: Sink) -> None:
        self._edge = edge
        self._sink = sink
        self._parser = httptools.HttpRequestParser(self)
        self.stage = _BETWEEN
        self.since = edge.now
        self._url = b""
        self._headers: Headers = []
        self._head = NO_HEAD
        self._first_head: RequestHead | None = None
        self._parts: list[bytes] = []
        self._body_size = 0
        self._kept = 0
        self._large: memoryview | None = None
        self._left = 0
        self._dropping = False
        self._begun = 0
        self._fed_without_body = 0
        self._memo = b""
        self._memo_head = NO_HEAD
        self._memo_tail = b""

    @property
    def allowed_s(self) -> float:
        """How long the current stage may take since it began; only asked in the middle of a message."""
        limits = self._edge.limits
        return limits.head_s if self.stage is _HEAD else limits.body_allowed_s(self._body_size)

    @property
    def answered_already(self) -> bool:
        """The message that is arriving was refused before its end."""
        return self.stage is _BODY and self._dropping and self._head.refusal is not None

    def feed(self, data: bytes) -> None:
        """Hand every request that `data` completes to the sink."""
        if self._left:
            data = self._feed_large(data)
        if self.stage is _BETWEEN and self._memo and data.startswith(self._memo):
            data = self._feed_repeated(data)
        rest: Buffer = data
        while rest and self.stage is not _DEAF:
            rest = self._feed_parser(rest)

    def stop(self) -> None:
        """Nothing that still arrives will be looked at; a body that did not end is forgotten."""
        self.stage = _DEAF
        self._forget_body()

    def release(self) -> None:
        """Let go of the parser and the sink, which hold this object: no connection waits for the garbage collector."""
        self.stop()
        del self._parser, self._sink

    def _feed_repeated(self, data: bytes) -> bytes:
        """Deliver the messages at the start of `data` that repeat the remembered head; returns what is left."""
        memo, tail, size = self._memo, self._memo_tail, len(data)
        start = 0
        while start < size and data.startswith(memo, start) and self.stage is _BETWEEN:
            begin = start + len(memo)
            length = 0
            if tail:
                stop = data.find(b"\r", begin, begin + _MAX_DIGITS + 1)
                # Compiled, a slice that ends before it begins raises instead of being empty.
                if stop < begin or not (digits := data[begin:stop]).isdigit() or not data.startswith(tail, stop):
                    break
                length = int(digits)
                begin = stop + len(tail)
            if begin + length > size or length > self._memo_head.longest:
                break
            start = begin + length
            self._deliver(self._memo_head, data[begin:start])
        return data[start:] if start else data

    def _deliver(self, head: RequestHead, body: bytes) -> None:
        if not (head.wants_body or head.waits):
            self._sink.arrived(head, b"")
            return
        refusal = self._edge.refusal(head)
        budget = self._edge.budget
        if refusal is None and budget.used + len(body) > budget.capacity:
            refusal = self._edge.no_room(head.context)
        if refusal is not None:
            self._sink.refused(head, refusal)
            return
        budget.used += len(body)
        self._sink.arrived(head, body)

    def _feed_large(self, data: bytes) -> bytes:
        """Take what belongs to a large body past the parser, which would copy it; returns what is left."""
        more = data if len(data) <= self._left else memoryview(data)[: self._left]
        self._left -= len(more)
        left = self._left
        try:
            self._take(more)
        except _Stop:
            return b""
        if left or self.stage is _DEAF:
            return b""
        # The parser still waits for this body.
        self._parser = httptools.HttpRequestParser(self)
        self.on_message_complete()
        return data[len(more) :]

    def _feed_parser(self, data: Buffer) -> Buffer:
        """Returns what is left behind the head of a request that offers an upgrade; nothing else leaves anything."""
        rest: Buffer = b""
        began_between = self.stage is _BETWEEN
        self._begin_read()
        size_before = self._body_size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._parser = parser_behind(self._head if self.stage is _BODY else None, self)
            rest = memoryview(data)[offer.args[0] :]
        except httptools.HttpParserCallbackError as error:
            if self.stage is not _DEAF:
                raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            if self.stage is not _DEAF:
                self._give_up(Refusal(400, f"this is not HTTP/1.1: {error}", last=True))
        if began_between and self._first_head is not None and isinstance(data, bytes):
            self._remember(data, self._first_head)
        self._bound_partial(len(data) - len(rest), size_before, began_between=began_between)
        if self._large is not None and self.stage is _BODY and not rest:
            self._left = (self._head.length or 0) - self._body_size
        return rest

    def _begin_read(self) -> None:
        self._first_head = None
        self._begun = 0

    def _remember(self, data: bytes, head: RequestHead) -> None:
        end = data.find(_HEAD_END, 0, _REMEMBERED)
        # A message may be preceded by an empty line, which is then the first end of line found.
        usable = end > 0 and data[0] > ord(" ") and head.refusal is None and head.keep_alive
        if not usable or head.chunked or head.expects_continue:
            return
        self._memo = data[: end + len(_HEAD_END)]
        self._memo_tail = b""
        self._memo_head = head
        length = _LENGTH_LINE.search(self._memo)
        if length is not None:
            self._memo, self._memo_tail = self._memo[: length.start(1)], self._memo[length.end(1) :]
        elif head.length is not None:
            self._memo = b""

    def _bound_partial(self, fed: int, size_before: int, *, began_between: bool) -> None:
        """Bound what the parser gathers unseen: a head that does not end, or trailers after a chunked body."""
        if self.stage is _BETWEEN or self.stage is _DEAF:
            return
        if self.stage is _BODY and self._body_size != size_before:
            self._fed_without_body = 0
            return
        # Where other messages came before it in these bytes, its own share is unknown, but less than one read.
        if self._begun == 0 or (self._begun == 1 and began_between and self.stage is _HEAD):
            self._fed_without_body += fed
        if self._fed_without_body > self._edge.limits.max_head_bytes:
            self._refuse_head(f"more than {self._edge.limits.max_head_bytes} bytes of headers or trailers")

    # --- callbacks of the parser

    def on_message_begin(self) -> None:
        """A request line begins."""
        self.stage = _HEAD
        self._begun += 1
        self.since = self._edge.now
        self._url = b""
        self._headers = []
        self._fed_without_body = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer after a chunked body."""
        self._headers.append((name, value))
        if len(self._headers) > self._edge.limits.max_headers:
            self._refuse_head(f"more than {self._edge.limits.max_headers} headers")
            raise _Stop

    def on_headers_complete(self) -> None:
        """The head is there: refuse now, before a body is read, or go on to the body."""
        parser = self._parser
        limits = self._edge.limits
        size = len(self._url) + sum([len(name) + len(value) + 4 for name, value in self._headers])
        if size > limits.max_head_bytes:
            self._refuse_head(f"a head of more than {limits.max_head_bytes} bytes")
            raise _Stop
        line = RequestLine(parser.get_method(), self._url, parser.get_http_version(), parser.should_keep_alive())
        head = self._head = understand(line, self._headers, limits)
        if self._first_head is None:
            self._first_head = head
        self.stage = _BODY
        self.since = self._edge.now
        self._body_size = 0
        self._dropping = not (head.wants_body or head.waits)
        refusal = head.refusal
        if refusal is not None:
            # Models are known only further down: no text of a client becomes a label.
            self._edge.observer.refused("", refusal.reason, head.context)
        else:
            refusal = self._refusal_now(head)
        if refusal is not None:
            self._refuse(refusal)
            return
        if (head.length or 0) >= _LARGE and head.wants_body and not head.chunked:
            self._large = room_for(head)
        if head.expects_continue and (head.chunked or head.length):
            self._sink.wants_continue()

    def on_body(self, data: bytes) -> None:
        """A piece of a body, or of one chunk of it."""
        self._take(data)

    def on_message_complete(self) -> None:
        """The message has ended: hand it over unless it was refused before."""
        head = self._head
        if self._parser.should_upgrade() and has_body(head):
            # Its body comes now, and then this is called again.
            return
        self.stage = _BETWEEN if head.keep_alive else _DEAF
        if head.refusal is not None:
            return
        parts, large = self._parts, self._large
        self._parts, self._large, self._kept = [], None, 0
        if large is None:
            self._sink.arrived(head, parts[0] if len(parts) == 1 else b"".join(parts))
        else:
            self._sink.arrived(head, large)

    def _take(self, data: bytes | memoryview) -> None:
        start = self._body_size
        self._body_size += len(data)
        edge = self._edge
        if self._dropping:
            if self._body_size > edge.limits.max_discard_bytes:
                self._end_dropping()
            return
        if self._body_size > self._head.longest:
            edge.observer.refused(self._head.target.model, "too_large", self._head.context)
            self._refuse(self._too_large())
        elif not edge.budget.fits(len(data)):
            self._refuse(edge.no_room(self._head.context))
        else:
            edge.budget.used += len(data)
            self._kept += len(data)
            if self._large is None:
                self._parts.append(bytes(data))
            else:
                self._large[start : self._body_size] = data

    # --- refusals

    def _refusal_now(self, head: RequestHead) -> Refusal | None:
        if not (head.wants_body or head.waits):
            return None
        refusal = self._edge.refusal(head)
        if refusal is None and not self._edge.budget.fits(head.length or 0):
            refusal = self._edge.no_room(head.context)
        return refusal

    def _refuse(self, refusal: Refusal) -> None:
        """Answer now and drop the rest of the body as it arrives."""
        if self._head.expects_continue:
            refusal = refusal._replace(last=True)
        self._head = self._head._replace(refusal=refusal)
        self._forget_body()
        self._dropping = True
        if refusal.last:
            self.stage = _DEAF
        self._sink.refused(self._head, refusal)
        if refusal.last:
            raise _Stop

    def _refuse_head(self, what: str) -> None:
        self._give_up(Refusal(431, f"{what}; send fewer or shorter headers", "too_large", last=True))

    def _give_up(self, refusal: Refusal) -> None:
        """Answer with an error outside of any message, unless the message at hand was answered already."""
        answered = self.answered_already
        self.stop()
        if answered:
            self._sink.ended()
            return
        self._edge.observer.refused("", refusal.reason)
        self._sink.refused(NO_HEAD, refusal)

    def _too_large(self) -> Refusal:
        head = self._head
        short = head.target.asks in SHORT_BODIES
        return too_large(self._edge.limits, head.json_size, compressed=bool(head.coding), short=short)

    def _end_dropping(self) -> None:
        self._give_up(self._too_large()._replace(last=True))
        raise _Stop

    def _forget_body(self) -> None:
        self._edge.budget.used -= self._kept
        self._kept = 0
        self._parts = []
        self._large = None
