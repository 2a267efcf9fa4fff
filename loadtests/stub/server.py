"""A server of known behaviour, to try load tests on: `python -m loadtests.stub.server --port 9000 --fixed-s 0.005`.

One thread on plain sockets; times are kept to some 0.1 ms.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import select
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, fields, replace

from loadtests.generator.answer import first_answer
from loadtests.generator.undisturbed import undisturbed
from loadtests.stub.behaviour import Behaviour, Fate, Fates

RIGHT = b'{"y":1}'
WRONG = b'{"y":2}'
_READ = 65_536
_PIECES = 10
_RESET = struct.pack("ii", 1, 0)


def answer(status: int, body: bytes) -> bytes:
    """As this server sends it."""
    return b"HTTP/1.1 %d X\r\nx-sluice-variant: stable\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    data: bytes = b""
    open: bool = True


class StubServer:
    """Listens at once; `serve` asks and answers until its process ends."""

    def __init__(self, behaviour: Behaviour, port: int = 0) -> None:
        self._fates = Fates(behaviour)
        self._drip_s = behaviour.drip_s
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self.port: int = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._connections: dict[int, _Connection] = {}
        self._order = itertools.count()
        self._due: list[tuple[float, int, _Connection, bytes | None]] = []
        self._began = time.monotonic()

    def serve(self) -> None:
        """Never returns."""
        with undisturbed():
            while True:
                self._turn()

    def _turn(self) -> None:
        now = time.monotonic() - self._began
        while self._due and self._due[0][0] <= now:
            _, _, connection, data = heapq.heappop(self._due)
            self._send(connection, data)
        pause = self._due[0][0] - now if self._due else 1.0
        # epoll waits in whole milliseconds, select in microseconds.
        select.select([self._epoll], [], [], min(max(pause, 0.0), 1.0))
        for descriptor, _ in self._epoll.poll(0, 64):
            if descriptor == self._listener.fileno():
                self._accept()
            elif descriptor in self._connections:
                self._read(self._connections[descriptor])

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                made, _ = self._listener.accept()
                made.setblocking(False)  # noqa: FBT003 - the socket's own signature
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[made.fileno()] = _Connection(made)
                self._epoll.register(made.fileno(), select.EPOLLIN)

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        connection.data += data
        # A request's head ends and tells its length as an answer's does.
        while (request := first_answer(_POSED + connection.data)) is not None:
            connection.data = connection.data[request.size - len(_POSED) :]
            self._arrived(connection)

    def _arrived(self, connection: _Connection) -> None:
        now = time.monotonic() - self._began
        fate = self._fates.of_next(now)
        for at, data in self._pieces(fate, now):
            if at <= now:
                self._send(connection, data)
            else:
                heapq.heappush(self._due, (at, next(self._order), connection, data))

    def _pieces(self, fate: Fate, now: float) -> list[tuple[float, bytes | None]]:
        """None breaks the connection."""
        if fate.resets:
            return [(fate.at, None)]
        whole = answer(fate.status, WRONG if fate.wrong else RIGHT)
        if not fate.drips:
            return [(fate.at, whole)]
        size = -(-len(whole) // _PIECES)
        parts = [whole[begins : begins + size] for begins in range(0, len(whole), size)]
        return [(now + self._drip_s * (number + 1) / len(parts), part) for number, part in enumerate(parts)]

    def _send(self, connection: _Connection, data: bytes | None) -> None:
        if not connection.open:
            return
        if data is None:
            # A reset instead of an orderly end.
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._close(connection)
            return
        with suppress(OSError):
            connection.socket.send(data)

    def _close(self, connection: _Connection) -> None:
        connection.open = False
        self._connections.pop(connection.socket.fileno(), None)
        connection.socket.close()


# What makes a request's head look like an answer's to `first_answer`.
_POSED = b"HTTP/1.1 200\r\n"


def main() -> None:
    """Options are the fields of Behaviour; the port is printed once it listens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    for field in fields(Behaviour):
        kind = int if field.name.endswith("every") else float
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    given = vars(parser.parse_args())
    port = given.pop("port")
    server = StubServer(replace(Behaviour(), **given), port)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        server.serve()


if __name__ == "__main__":
    main()
