"""A gateway without models: answers the few requests that the supervisor's tests send, and misbehaves when asked to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import IO, Any, cast

from serving.inference import VersionKey
from serving.observation import BatchSeen
from serving.processes.start_message import StartMessage
from serving.telemetry.recorder import Recorder

_METADATA = b'{"name":"m","versions":["1"],"inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}],"outputs":[]}'


class _Connection(asyncio.Protocol):
    """One request at a time; `held` ones are answered when the gateway says so."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.gateway = gateway
        self.received = b""
        self.pending = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self.gateway.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.gateway.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].decode().lower()
            length = int(head.partition("content-length:")[2].split("\r\n")[0] or 0)
            if len(self.received) < end + 4 + length:
                return
            self.received = self.received[end + 4 + length :]
            self.pending += 1
            self.requested(head.split(" ")[1])

    def requested(self, path: str) -> None:
        if path == "/crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if path == "/stall":
            os.kill(os.getpid(), signal.SIGSTOP)
        if path == "/spawn":
            # A grandchild in a kernel session of its own that does not mind SIGTERM.
            stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
            child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE, start_new_session=True)
            cast("IO[bytes]", child.stdout).readline()
        if path.startswith("/slow"):
            seconds = float(path.partition("=")[2] or 0.3)
            asyncio.get_running_loop().call_later(seconds, self.answer, b"slow")
        elif path == "/poison":
            self.gateway.tell_condemned("0badf00d")
            self.answer(b"told")
        elif path == "/condemned":
            self.answer(" ".join(self.gateway.condemned).encode())
        elif path == "/estimates":
            self.answer(json.dumps(self.gateway.start.estimates).encode())
        elif path == "/v2/models/m":
            self.answer(_METADATA)
        else:
            self.gateway.recorder.batch_seen(BatchSeen(VersionKey("m", 1), "stable", 1, [0], [0], 0, 0, [0.001]))
            self.answer(f'{{"pid":{os.getpid()},"table":"{self.gateway.table}"}}'.encode())

    def answer(self, body: bytes) -> None:
        if self.transport.is_closing():
            return
        self.pending -= 1
        closing = self.gateway.draining and not self.pending
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n{'connection: close' if closing else 'x: y'}\r\n\r\n"
        self.transport.write(head.encode() + body)
        if closing:
            self.transport.close()


class FakeGateway:
    """Its HTTP side is itself."""

    def __init__(self, start: StartMessage) -> None:
        self.start = start
        self.connections: set[_Connection] = set()
        self.servers: dict[socket.socket, asyncio.AbstractServer] = {}
        self.draining = False
        self.table = ""
        self.condemned: list[str] = []
        self.recorder = Recorder()

    @property
    def http(self) -> FakeGateway:
        return self

    async def listen(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.servers[sock] = await loop.create_server(lambda: _Connection(self), sock=sock)

    def stop_accepting(self, sock: socket.socket) -> None:
        self.servers.pop(sock).close()

    def ready(self) -> bool:
        return True

    def refused(self) -> list[dict[str, str]]:
        return [{"model": "bad", "version": "1", "why": "bad/1/model.onnx is truncated"}]

    def stats(self) -> dict[str, Any]:
        self.recorder.serve([VersionKey("m", 1)])
        estimate = ["default", "m", 1, "5-1", 0.25, 0.125, 1.5, self.start.generation]
        return {**self.recorder.snapshot(), "estimates": [estimate]}

    def use_table(self, table: str) -> None:
        self.table = table

    def may_ask(self, ask: Any) -> None:
        self.ask = ask

    def on_condemned(self, tell: Callable[[str], None]) -> None:
        self.tell_condemned = tell

    def condemn(self, fingerprint: str, remember_s: float) -> None:
        self.condemned.append(fingerprint)

    async def drain(self, grace_s: float) -> None:
        # Idle connections stay for the grace time: their next answer tells the client to close.
        self.draining = True
        deadline = asyncio.get_running_loop().time() + grace_s
        while self.connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - a fake
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        for connection in self.connections:
            connection.transport.abort()


async def build(start: StartMessage) -> FakeGateway:
    if start.config.get("fail_at_start"):
        raise RuntimeError("this gateway was told to fail")
    if start.generation > start.workers and start.config.get("fail_later"):
        raise RuntimeError("this gateway was told to fail")
    return FakeGateway(start)
