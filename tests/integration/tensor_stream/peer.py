"""A gateway made of a blocking socket, which does as it is told, and the server that it talks to."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from serving.errors import ServingError
from serving.inference import Batch, VersionKey
from serving.pool.wire_options import WireOptions
from serving.pool.wire_server import WireServer
from serving.wire.address import TcpAddress, parse
from serving.wire.batch_frame import decode_failed, encode_run
from serving.wire.catalogue import Catalogue, decode_catalogue
from serving.wire.frame import FAILED, Frame
from serving.wire.frame_reader import FrameReader
from serving.wire.handshake import SPOKEN, decode_challenge, decode_welcome, hello
from tests.integration.tensor_stream.doubling_host import (
    KEY,
    DoublingHost,
)

SECRET = b"a secret"
NONCE = b"n" * 16


class Peer:
    """A gateway made of a blocking socket, which does as it is told."""

    def __init__(self, address: str) -> None:
        where = parse(address)
        tcp = isinstance(where, TcpAddress)
        self.socket = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        self.socket.settimeout(10.0)
        try:
            self.socket.connect((where.host, where.port) if isinstance(where, TcpAddress) else where.path)
        except OSError:
            self.socket.close()
            raise
        self._reader = FrameReader(2**26)
        self._frames: list[Frame] = []
        self.catalogue = Catalogue()

    def shake(self, secret: bytes = SECRET, versions: tuple[int, ...] = SPOKEN) -> None:
        """Get past the handshake."""
        challenge = decode_challenge(self.next())
        self.send(hello(challenge, secret, "peer", NONCE, versions))
        decode_welcome(self.next(), challenge, NONCE, secret)
        self.catalogue = decode_catalogue(self.next())

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def next(self) -> Frame:
        while not self._frames:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self._frames = list(self._reader.feed(data))
        return self._frames.pop(0)

    def ended(self) -> bool:
        """Whatever else comes, the end comes too."""
        try:
            while True:
                self.next()
        except (EOFError, ConnectionError):
            return True

    def slot(self, key: VersionKey = KEY) -> int:
        return next(slot for slot, hosted in self.catalogue.slots.items() if hosted.key == key)

    def run(self, batch_id: int, asked: Batch, ttl_s: float = 5.0) -> bytes:
        return b"".join(encode_run(asked, self.slot(asked.key), batch_id, ttl_s)[0])


class Stage:
    """Servers and peers of one test."""

    def __init__(self, folder: Path, undo: ExitStack) -> None:
        self._folder = folder
        self._undo = undo
        self.journal = folder / "journal"
        self.host = DoublingHost(self.journal)

    def server(self, *addresses: str, **options: Any) -> WireServer:
        # Rows that sleep stand in for runs of any length here: unless a test says so, none is known to be long.
        options.setdefault("long_run_s", 60.0)
        listen_on = addresses or [f"unix:{self._folder}/sockets/s"]
        server = WireServer(self.host, SECRET, listen_on, WireOptions(**options))
        server.start()
        self._undo.callback(server.stop)
        return server

    def stranger(self, server: WireServer) -> Peer:
        """Connected, and nothing more."""
        peer = Peer(server.addresses[0])
        self._undo.callback(peer.socket.close)
        return peer

    def peer(self, server: WireServer, address: int = 0) -> Peer:
        """Past the handshake."""
        peer = Peer(server.addresses[address])
        self._undo.callback(peer.socket.close)
        peer.shake()
        return peer


def failure(frame: Frame) -> ServingError:
    assert frame.kind == FAILED
    error = decode_failed(frame)
    assert error is not None
    return error


def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.002)
