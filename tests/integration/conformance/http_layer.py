"""HTTP/1.1 as a server should speak it, a thread for each connection; `breaks` names rules to leave out."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

_REQUEST_LINE = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.([01])")
_LARGEST = 2 * 1024 * 1024
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


App = Callable[[Request], Reply]


class Refused(Exception):
    """The connection ends, after this reply where there is one."""

    def __init__(self, reply: Reply | None = None, discard: int = 0) -> None:
        super().__init__(reply)
        self.reply = reply
        self.discard = discard


@contextlib.contextmanager
def serving(app: App, breaks: AbstractSet[str] = frozenset()) -> Iterator[str]:
    """The address of a server of `app`."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    threading.Thread(target=_accept, args=(listener, app, breaks), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(listener: socket.socket, app: App, breaks: AbstractSet[str]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(connection, app, breaks), daemon=True).start()


def _serve(connection: socket.socket, app: App, breaks: AbstractSet[str]) -> None:
    held: list[bytes] = []
    with connection, contextlib.suppress(OSError):
        stream = _Stream(connection)
        while True:
            try:
                request, stays = _read(stream, breaks)
                reply = app(request)
            except Refused as refused:
                if refused.reply is not None:
                    connection.sendall(_written(refused.reply, "GET", stays=False))
                stream.discard(refused.discard)
                return
            if "after-error" in breaks and reply.status >= 400:
                # Says that it stays, and goes.
                connection.sendall(_written(reply, request.method, stays=True))
                return
            written = _written(reply, "GET" if "head" in breaks else request.method, stays=stays)
            if "pipelined" in breaks and stream.more:
                held.append(written)
            else:
                connection.sendall(b"".join((written, *held)))
                held.clear()
            if not stays:
                return


def _read(stream: _Stream, breaks: AbstractSet[str]) -> tuple[Request, bool]:
    line = stream.line(whole="in-pieces" in breaks)
    while line == b"":
        line = stream.line()
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise _bad("no request line") if "garbage" not in breaks else Refused(Reply(200, b"{}"))
    headers, lengths = _headers(stream)
    version = found[3]
    if version == b"0" and "http-1.0" in breaks:
        raise Refused
    if version == b"1" and "host" not in headers and "no-host" not in breaks:
        raise _bad("no Host")
    target = found[2].decode("latin-1")
    if "absolute" not in breaks:
        target = re.sub(r"^http://[^/]+", "", target)
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    stays = version == b"1" and headers.get("connection", "").lower() != "close" and "keep-alive" not in breaks
    if chunked and lengths and "length-and-chunks" not in breaks:
        raise _bad("a length and chunks")
    if len(set(lengths)) > 1 and "two-lengths" not in breaks:
        raise _bad("two lengths")
    if headers.get("expect") == "100-continue" and "continue" not in breaks:
        stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    elif "expect" in headers:
        raise Refused
    body = _chunks(stream, breaks) if chunked else _body(stream, lengths, breaks)
    return Request(found[1].decode(), target, headers, body), stays


def _headers(stream: _Stream) -> tuple[dict[str, str], list[str]]:
    headers: dict[str, str] = {}
    lengths = []
    while line := stream.line():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
        if name.lower() == "content-length":
            lengths.append(value.strip())
    return headers, lengths


def _body(stream: _Stream, lengths: list[str], breaks: AbstractSet[str]) -> bytes:
    if not lengths:
        return b""
    if not lengths[0].isdigit():
        if "bad-length" not in breaks:
            raise _bad("a length that is none")
        return stream.until_end()
    length = int(lengths[0])
    if length > _LARGEST:
        if "huge-length" in breaks and length > 1 << 40:
            raise Refused
        if "large-body" in breaks and length < 1 << 40:
            raise Refused
        raise Refused(Reply(413, b'{"error": "too large"}', _JSON), length)
    return stream.exactly(length, cut="truncated" in breaks)


def _chunks(stream: _Stream, breaks: AbstractSet[str]) -> bytes:
    body = b""
    while True:
        try:
            line = stream.line()
        except Refused:
            if "truncated-chunks" in breaks and body:
                return body
            raise
        try:
            size = int(line, 16)
        except ValueError:
            if "bad-chunk" in breaks:
                raise Refused(Reply(200, b"{}", _JSON)) from None
            raise _bad("a chunk without a size") from None
        body += stream.exactly(size)
        stream.line()
        if size == 0:
            return body


def _bad(what: str) -> Refused:
    return Refused(Reply(400, b'{"error": "%b"}' % what.encode(), _JSON))


def _written(reply: Reply, method: str, *, stays: bool) -> bytes:
    headers = {"content-length": str(len(reply.body)), **reply.headers}
    if not stays:
        headers["connection"] = "close"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {reply.status} x\r\n{lines}\r\n".encode() + (b"" if method == "HEAD" else reply.body)


class _Stream:
    """What came, read in lines and lengths; its end within a request ends the connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._data = b""

    @property
    def more(self) -> bool:
        return bool(self._data)

    def line(self, *, whole: bool = False) -> bytes:
        while b"\r\n" not in self._data:
            self._fill()
            if whole and b"\r\n" not in self._data:
                raise Refused
        line, _, self._data = self._data.partition(b"\r\n")
        return line

    def exactly(self, size: int, *, cut: bool = False) -> bytes:
        while len(self._data) < size:
            try:
                self._fill()
            except Refused:
                if cut:
                    return self._data
                raise
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def until_end(self) -> bytes:
        with contextlib.suppress(Refused):
            while True:
                self._fill()
        return self._data

    def discard(self, size: int) -> None:
        """Read on, so that the reply is not lost with the connection."""
        left = size - len(self._data)
        while left > 0 and (block := self._connection.recv(_BLOCK)):
            left -= len(block)

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def _fill(self) -> None:
        block = self._connection.recv(_BLOCK)
        if not block:
            raise Refused
        self._data += block


_JSON = {"content-type": "application/json"}
