"""A connection that sends any bytes: for what no HTTP client would send, and what must not be answered."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
from collections.abc import Iterator

from serving.conformance.exchange import Answer, shortened
from serving.conformance.http_client import HttpClient


class Wire:
    """One socket; what came is kept until an answer is read from it."""

    def __init__(self, client: HttpClient) -> None:
        self._transcript = client.transcript
        self._socket = socket.create_connection((client.host, client.port), timeout=client.timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def send(self, data: bytes) -> bool:
        """Send all of it; False where the server closed before it had everything."""
        self._transcript.append(f"> (on the wire) {shortened(data)}")
        return self.send_quietly(data)

    def send_quietly(self, data: bytes) -> bool:
        """Send without a note: for the many blocks of a large body."""
        try:
            self._socket.sendall(data)
        except (ConnectionError, TimeoutError):
            return False
        return True

    def no_more(self) -> None:
        """Close the sending half: the server sees the end of what this client says."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def read(self, method: str = "GET", within_s: float | None = None) -> Answer | None:
        """The next answer; None where the connection ended, or nothing came within that time."""
        if within_s is not None:
            self._socket.settimeout(within_s)
        try:
            answer = self._read(method)
        except (OSError, http.client.HTTPException):
            answer = None
        came = (
            "the connection ended, or nothing came" if answer is None else f"{answer.status} {shortened(answer.body)}"
        )
        self._transcript.append(f"< {came}")
        return answer

    def rest(self) -> bytes:
        """Whatever comes until the server closes the connection."""
        try:
            data = self._file.read()
        except OSError:
            data = b""
        self._transcript.append(f"< {shortened(data)}")
        return data

    def close(self) -> None:
        """Let it go."""
        self._file.close()
        self._socket.close()

    def _read(self, method: str) -> Answer | None:
        response = http.client.HTTPResponse(_Reader(self._file), method=method)  # type: ignore[arg-type]
        response.begin()
        body = response.read()
        return Answer(response.status, [(k.lower(), v) for k, v in response.getheaders()], body)


class _Reader:
    """Gives the standard library's response the same buffered file each time, so that pipelined answers stay in it."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file

    def makefile(self, _mode: str) -> _Kept:
        """What HTTPResponse reads from."""
        return _Kept(self._file)


class _Kept:
    """The file, but closing it does nothing."""

    def __init__(self, file: io.BufferedReader) -> None:
        self.read, self.readline, self.readinto, self.flush = file.read, file.readline, file.readinto, file.flush
        self.read1, self.peek = file.read1, file.peek

    def close(self) -> None:
        """Later answers are still in it."""


@contextlib.contextmanager
def wire_to(client: HttpClient) -> Iterator[Wire]:
    """A fresh connection, closed afterwards."""
    wire = Wire(client)
    try:
        yield wire
    finally:
        wire.close()


def request_bytes(client: HttpClient, method: str, path: str, body: bytes = b"", *more: str) -> bytes:
    """A whole request as bytes; `more` are header lines."""
    lines = [f"{method} {client.prefix}{path} HTTP/1.1", f"Host: {client.authority}", *more]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
