"""A binary tensor of 16 MB there and back: Sluice beside a plain copy over the same kind of socket.

`python -m benchmarks.large_bodies [--mb 16] [--engine ray]`. The copy is an asyncio server on uvloop that reads as many
bytes and writes them back; the client is one blocking socket for both, and both take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

import onnx
import uvloop
from onnx import TensorProto, helper

PORT, COPY_PORT = 18_470, 18_471


def main() -> int:
    """Measure, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mb", type=float, default=16)
    parser.add_argument("--engine", default="in-process")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    size = int(given.mb * (1 << 20)) // 4 * 4
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _identity(Path(folder))
        copying = multiprocessing.get_context("spawn").Process(target=_serve_copies, args=(size,), daemon=True)
        copying.start()
        session = _session(Path(folder), given.engine)
        try:
            ours, plain = _Client(PORT, *_request(size)), _Client(COPY_PORT, b"", bytes(size))
            took: dict[str, list[float]] = {"sluice": [], "copy": []}
            for _ in range(given.rounds):
                took["copy"].append(plain.once(size))
                took["sluice"].append(ours.once(size))
        finally:
            session.send_signal(signal.SIGINT)
            session.wait(60)
            copying.terminate()
    medians = {name: statistics.median(times) * 1000 for name, times in took.items()}
    ratio = medians["sluice"] / medians["copy"]
    print(json.dumps({"mb": given.mb, "engine": given.engine, "ms": medians, "ratio": ratio}))
    return 0


def _identity(folder: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "m"]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", values[:1], values[1:])
    path = folder / "identity" / "1" / "model.onnx"
    path.parent.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)


def _session(folder: Path, engine: str) -> subprocess.Popen[bytes]:
    ports = ["--http-port", str(PORT), "--metrics-port", "0", "--control-port", "0"]
    command = [str(Path(sys.executable).with_name("sluice")), "up", "--models", str(folder), "--engine", engine, *ports]
    session = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    for _ in range(600):
        try:
            with socket.create_connection(("127.0.0.1", PORT), 1) as asking:
                asking.sendall(b"GET /v2/models/identity/ready HTTP/1.1\r\nhost: a\r\n\r\n")
                if asking.recv(100).startswith(b"HTTP/1.1 200"):
                    return session
        except OSError:
            pass
        time.sleep(0.1)
    session.kill()
    raise TimeoutError("the session is not ready")


def _request(size: int) -> tuple[bytes, bytes]:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, size // 4], "parameters": {"binary_data_size": size}}
    document = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    lengths = f"inference-header-content-length: {len(document)}\r\ncontent-length: {len(document) + size}\r\n\r\n"
    return b"POST /v2/models/identity/infer HTTP/1.1\r\nhost: a\r\n" + lengths.encode() + document, bytes(size)


class _Client:
    def __init__(self, port: int, head: bytes, body: bytes) -> None:
        for _ in range(100):
            try:
                self._socket = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                time.sleep(0.1)
        self._head, self._body = head, body
        self._room = memoryview(bytearray(len(body) + 4096))

    def once(self, size: int) -> float:
        """Seconds until as many bytes are back (and a head, where one was sent)."""
        began = time.perf_counter()
        if self._head:
            self._socket.sendall(self._head)
        self._socket.sendall(self._body)
        got, wanted = 0, size
        while got < wanted:
            got += self._socket.recv_into(self._room[got:])
            if self._head and wanted == size:
                wanted = self._length(bytes(self._room[:2000]))
        return time.perf_counter() - began

    @staticmethod
    def _length(start: bytes) -> int:
        head, _, _ = start.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(start[:500].decode("latin-1"))
        (line,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        return len(head) + 4 + int(line.split(b":")[1])


def _serve_copies(size: int) -> None:
    uvloop.run(_copies(size))


async def _copies(size: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Copy(size), "127.0.0.1", COPY_PORT)
    await server.serve_forever()


class _Copy(asyncio.Protocol):
    """Writes back what it was sent once all of it is there, without joining it."""

    def __init__(self, size: int) -> None:
        self._size = self._missing = size
        self._pieces: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._pieces.append(data)
        self._missing -= len(data)
        if not self._missing:
            self._transport.writelines(self._pieces)
            self._pieces, self._missing = [], self._size


if __name__ == "__main__":
    sys.exit(main())
