"""A small HTTP/1.1 client over a blocking socket: what is sent is exactly the bytes that a test wrote."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

PATIENCE_S = 30.0
# However busy the machine is, who asks so is answered.
PATIENT = {"x-request-timeout-ms": "20000"}


class Hangup(Exception):
    """The other side closed the connection before an answer was complete."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response; header names are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """What an answer other than 200 says."""
        document = self.json()
        assert set(document) == {"error"}, document
        return str(document["error"])


class Connection:
    """One connection, kept alive until closed."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The port on this side."""
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def abort(self) -> None:
        """Close it such that the other side knows that nobody reads any more."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def send(self, data: bytes) -> None:
        """These bytes, nothing else."""
        self._socket.sendall(data)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Send a well-formed request and read its answer."""
        self.send(request_bytes(method, path, body, headers))
        return self.read(head_only=method == "HEAD")

    def post(self, path: str, document: object, headers: Mapping[str, str] | None = None) -> Reply:
        """Send JSON, as somebody who is answered however busy the machine is."""
        return self.request("POST", path, json.dumps(document).encode(), {**PATIENT, **(headers or {})})

    def get(self, path: str) -> Reply:
        """Read a page."""
        return self.request("GET", path)

    def read(self, *, head_only: bool = False) -> Reply:
        """The next response; interim ones (100) are skipped.

        Raises:
            Hangup: the connection was closed before its end.
        """
        while True:
            head = self._until(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").split("\r\n")
            status = int(line.split(" ", 2)[1])
            headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
            if status >= 200:
                length = 0 if head_only else int(headers["content-length"])
                return Reply(status, headers, self._exactly(length))

    def rest(self) -> list[Reply]:
        """Every answer that still comes before the other side closes, which it must."""
        replies = []
        while True:
            try:
                replies.append(self.read())
            except Hangup:
                assert not self._buffer, f"closed in the middle of an answer: {self._buffer[:200]!r}"
                return replies

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _more(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Hangup(f"closed after {self._buffer[:200]!r}")
        self._buffer += data


def request_bytes(method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A well-formed request; `content-length` is only sent with a body or a POST."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method == "POST":
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
