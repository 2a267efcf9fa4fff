"""Where requests begin and end, compared with h11: what we take it takes alike; what we refuse is a rule of ours."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serving.edge.http.answers import Refusal
from serving.edge.http.edge import Edge
from serving.edge.http.intake import Intake
from serving.edge.http.limits import HttpLimits
from serving.edge.http.request_head import RequestHead
from serving.edge.http.routes import target_of
from serving.inference import Buffer
from serving.testing.predictions import FakePredictions, RecordingObserver
from tests.unit.edge.http.streams import STREAMS


class Message(NamedTuple):
    """What h11 made of one message."""

    target: bytes
    body: bytes
    stays: bool


class Heard(NamedTuple):
    """What h11 made of a stream: whole messages, and why it takes no more, if so."""

    messages: list[Message]
    error: str


class Ours:
    """What our intake made of a stream, in its order."""

    def __init__(self) -> None:
        edge = Edge(FakePredictions(), HttpLimits(), RecordingObserver(), lambda: 0.0, "0")
        self.intake = Intake(edge, self)
        self.taken: list[tuple[RequestHead, bytes | Refusal]] = []
        self.over = False

    def arrived(self, head: RequestHead, body: Buffer) -> None:
        self.taken.append((head, bytes(body)))

    def refused(self, head: RequestHead, refusal: Refusal) -> None:
        self.taken.append((head, refusal))

    def wants_continue(self) -> None: ...

    def ended(self) -> None:
        self.over = True


def by_h11(data: bytes) -> Heard:
    """Each message by a connection of its own, so that empty lines before it are left out (RFC 9112, section 2.2)."""
    messages: list[Message] = []
    while data := data.lstrip(b"\r\n"):
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        connection.receive_data(data)
        try:
            message = _next_message(connection)
        except h11.RemoteProtocolError as error:
            return Heard(messages, str(error))
        if message is None:
            break
        messages.append(message)
        if not message.stays:
            break
        data = connection.trailing_data[0]
    return Heard(messages, "")


def _next_message(connection: h11.Connection) -> Message | None:
    target, body, closes = b"", b"", False
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            target = event.target
            # Behind an offer to switch protocols h11 waits for that, whether or not the request also asks to close.
            closes = any(name == b"connection" and b"close" in _tokens(value) for name, value in event.headers)
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return Message(target, body, connection.their_state is not h11.MUST_CLOSE and not closes)
        else:
            return None


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip().lower() for token in value.split(b",")]


def ours(data: bytes, cuts: list[int]) -> Ours:
    """The stream in pieces."""
    taken = Ours()
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(bounds):
        if start < end:
            taken.intake.feed(data[start:end])
    return taken


# What h11 takes and we refuse, each by a rule of RFC 9112 that it leaves to the server, or that ends an ambiguity.
STRICTER = re.compile(
    "|".join(
        (
            # Methods, versions and targets are those of a list; h11 leaves them to the application.
            *("Invalid method", "Expected space after method", "Invalid HTTP version", "is not served here"),
            "is not served on this path",
            *(
                "in url",
                "CONNECT",
                "Expected CRLF after version",
                "Expected HTTP/",
                "Invalid char",
            ),
            # A line ends with CRLF (section 2.2), and a folded header is refused (section 5.2).
            *(
                "Invalid char",
                "Missing expected",
                "Invalid header",
                "Unexpected whitespace after header",
                "Invalid URL",
            ),
            # One length and no chunks, or chunks and no length (section 6.3).
            *("Duplicate Content-Length", "Content-Length can't be", "Transfer-Encoding can't be", "in Content-Length"),
            *("HTTP/1.0 has no Transfer-Encoding", "exactly one Host", "Host must be"),
            # Chunk sizes and extensions by the grammar alone (section 7.1).
            *("chunk", "expectation", "nothing is served at"),
        )
    )
)
POST = b"POST /v2/models/mlp/infer HTTP/1.1\r\nhost: a\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"


@settings(max_examples=1000)
@example(POST + b"connection: close\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n" + POST + b"\r\n", [])
@given(STREAMS, st.lists(st.integers(0, 500), max_size=3))
def test_requests_end_where_h11_sees_their_end(data: bytes, cuts: list[int]) -> None:
    agree(data, cuts)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"transfer-encoding: gzip, chunked", CHUNKS),
        (b"transfer-encoding: identity\r\ntransfer-encoding: chunked", CHUNKS),
        (b"transfer-encoding: ,chunked", CHUNKS),
        (b"transfer-encoding: chunked\r\ntransfer-encoding: chunked", CHUNKS),
        (b"transfer-encoding: chunked, identity", CHUNKS),
        (b"transfer-encoding: xchunked", CHUNKS),
        (b"transfer-encoding:", CHUNKS),
        (b"transfer-encoding: chunked\r\ncontent-length: 3", CHUNKS),
        (b"content-length: 3\r\ntransfer-encoding: chunked", CHUNKS),
        (b"content-length: 3\r\ncontent-length: 3", b"abc"),
        (b"content-length: 3, 3", b"abc"),
        (b"content-length: +3", b"abc"),
        (b"content-length: 3 3", b"abc"),
        (b"content-length: 0x3", b"abc"),
        (b"content-length: 3_0", b"abc"),
        (b"content-length:", b"abc"),
        (b"content-length : 3", b"abc"),
        (b"x: a\r\n content-length: 3", b"abc"),
        (b"x: a\ncontent-length: 3", b"abc"),
        (b"x: a\rcontent-length: 3", b"abc"),
        (b"x\0: a\r\ncontent-length: 3", b"abc"),
        *[(b"transfer-encoding: chunked", body) for body in (b"0x3\r\nabc\r\n0\r\n\r\n", b"+3\r\nabc\r\n0\r\n\r\n")],
        *[(b"transfer-encoding: chunked", body) for body in (b"3\r\nabcd\r\n0\r\n\r\n", b"3\nabc\r\n0\r\n\r\n")],
        *[(b"transfer-encoding: chunked", body) for body in (b"\r\nabc\r\n0\r\n\r\n", b"3\r\nabc0\r\n\r\n")],
        *[(b"transfer-encoding: chunked", body) for body in (b"f" * 17 + b"\r\nabc", b"3;\n\r\nabc\r\n0\r\n\r\n")],
    ],
)
def test_ambiguous_framing_is_never_a_request(head: bytes, body: bytes) -> None:
    data = POST + head + b"\r\n\r\n" + body + b"GET /v2 HTTP/1.1\r\nhost: a\r\n\r\n"
    agree(data, [])
    (_, refusal) = ours(data, []).taken[-1]
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.last) == (400, True)
    assert all(isinstance(content, Refusal) for _, content in ours(data, []).taken)


def agree(data: bytes, cuts: list[int]) -> None:
    """What was taken is what h11 took, in its order; what ends the connection ends it for h11, or by a rule of ours."""
    heard, mine = by_h11(data), ours(data, cuts)
    for number, (head, content) in enumerate(mine.taken):
        theirs = heard.messages[number] if number < len(heard.messages) else None
        if isinstance(content, Refusal):
            assert theirs is None or not content.last or STRICTER.search(content.message), (content, theirs)
            if content.last:
                return
            # Refused at its head, before its end is known.
            continue
        if theirs is None and "illegal request line" in heard.error and "  " in heard.error:
            # Words of a request line may stand further apart (RFC 9112, section 3), which h11 does not take.
            return
        if theirs is None:
            # h11 closes after HTTP/1.0, and we stay where the client asked for it.
            assert number, heard
            assert not heard.messages[-1].stays, heard
            assert b"HTTP/1.0" in data, heard
            return
        assert target_of(theirs.target) == head.target
        assert not head.wants_body or theirs.body == content
    # What was refused at its head may turn out to be broken later on, which ends the connection without a word.
    assert mine.over or len(heard.messages) <= len(mine.taken)
