"""Unary gRPC calls over HTTP/2 without TLS, as lean as a load needs: one call at a time on a connection.

Frames are those of RFC 9113; the head of a call is HPACK (RFC 7541) without a table, made once. Servers are told that
there is no room for theirs either, so that each answer's headers can be read by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loadtests.generator.answer import Answer
from loadtests.generator.grpc_head import Name
from loadtests.generator.outcomes import GRPC_CODES, GRPC_ERROR, GRPC_STATUS

MOST_MESSAGE = 60_000
_FRAME = 9
_MOST_DATA = 16_384
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_WINDOW = 2**31 - 1
_PREFIX = 5
_OK = 200
_STATUS, _VARIANT, _DEGRADED = Name("grpc-status"), Name("x-sluice-variant"), Name("x-sluice-degraded")
# As whoever counts variants finds them in a head of HTTP/1.1.
_SAID_VARIANT, _SAID_DEGRADED = b"\r\nx-sluice-variant: ", b"\r\nx-sluice-degraded: "
# By what a server says in its trailers. One that says nothing, or nothing that can be read, has not said that it went
# well, whatever message came before.
_STATUSES: dict[bytes | None, int] = {b"0": _OK}
_STATUSES |= {b"%d" % code: GRPC_STATUS - code for code in range(1, len(GRPC_CODES) + 1)}


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _setting(number: int, value: int) -> bytes:
    return number.to_bytes(2, "big") + value.to_bytes(4, "big")


# No table of headers. No answer is held back for want of room on our side: the largest window for every stream, and for
# the connection.
_OPENING = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + frame(_SETTINGS, 0, 0, _setting(1, 0) + _setting(4, _WINDOW))
    + frame(8, 0, 0, (_WINDOW - 65_535).to_bytes(4, "big"))
)


@dataclass(slots=True)
class Calls:
    """Of one connection: the last call's stream, what its answer has so far, and how much may still be received."""

    stream: int = -1
    message: bytes = b""
    head: bytes = b""
    room: int = _WINDOW
    leaving: bool = False


class GrpcWire:
    """The same method, called again and again with the same metadata."""

    def __init__(self, authority: str, path: str, metadata: Mapping[str, str] | None = None) -> None:
        # :method POST and :scheme http stand in HPACK's static table; what follows is written out.
        self._head = b"\x83\x86" + b"".join(
            (
                b"\x01" + _text(authority),
                b"\x04" + _text(path),
                b"\x00" + _text("content-type") + _text("application/grpc"),
                b"\x00" + _text("te") + _text("trailers"),
                *(b"\x00" + _text(name.lower()) + _text(text) for name, text in (metadata or {}).items()),
            )
        )

    def framed(self, calls: Calls, message: bytes) -> bytes:
        """A call with its message, which has gRPC's prefix; the first on a connection opens it."""
        opening = _OPENING if calls.stream < 0 else b""
        calls.stream += 2
        calls.message = calls.head = b""
        parts = [opening, frame(_HEADERS, _END_HEADERS, calls.stream, self._head)]
        for begins in range(0, len(message), _MOST_DATA):
            last = begins + _MOST_DATA >= len(message)
            parts.append(frame(_DATA, _END_STREAM * last, calls.stream, message[begins : begins + _MOST_DATA]))
        return b"".join(parts)

    def read(self, calls: Calls, data: bytes) -> tuple[Answer | None, bytes, bytes]:
        """The answer if it is whole, what of the data is left, and what has to be sent back."""
        answer, at, replies = None, 0, b""
        while answer is None and len(data) >= at + _FRAME:
            size = int.from_bytes(data[at : at + 3], "big")
            begins = at + _FRAME
            if len(data) < begins + size:
                break
            kind, flags = data[at + 3], data[at + 4]
            stream = int.from_bytes(data[at + 5 : begins], "big") & _WINDOW
            payload = data[begins : begins + size]
            at = begins + size
            if stream == 0:
                replies += self._of_connection(calls, kind, flags, payload)
            elif stream == calls.stream:
                answer = self._of_call(calls, kind, flags, payload)
        return answer, data[at:], replies

    @staticmethod
    def _of_connection(calls: Calls, kind: int, flags: int, payload: bytes) -> bytes:
        if kind == _GOAWAY:
            calls.leaving = True
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            return frame(kind, _ACK, 0, payload if kind == _PING else b"")
        return b""

    @staticmethod
    def _of_call(calls: Calls, kind: int, flags: int, payload: bytes) -> Answer | None:
        if kind == _RESET:
            return Answer(GRPC_ERROR, b"", b"", 0)
        if kind == _DATA:
            calls.message += payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload
            calls.room -= len(payload)
            # Rather than telling the server of room all the time: another connection, after two gigabytes.
            calls.leaving = calls.leaving or calls.room < _WINDOW // 2
        if kind == _HEADERS:
            calls.head += _told(payload)
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            message = calls.message
            whole = len(message) >= _PREFIX and len(message) == _PREFIX + int.from_bytes(message[1:_PREFIX], "big")
            status = _STATUSES.get(_STATUS.value(payload) if kind == _HEADERS else None, GRPC_ERROR)
            # Rightly ended without a message is no answer to a unary call.
            return Answer(GRPC_ERROR if status == _OK and not whole else status, calls.head, message[_PREFIX:], 0)
        return None


def _told(block: bytes) -> bytes:
    """What a block of headers tells of the version that answered."""
    variant = _VARIANT.value(block)
    head = b"" if variant is None else _SAID_VARIANT + variant
    return head if _DEGRADED.behind(block) < 0 else head + _SAID_DEGRADED


def prefixed(message: bytes) -> bytes:
    """A message as gRPC sends it: not compressed, and its length."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def _text(text: str) -> bytes:
    """A string of HPACK without Huffman's code, of at most 126 bytes, so that its length is one."""
    return bytes((len(text),)) + text.encode()
