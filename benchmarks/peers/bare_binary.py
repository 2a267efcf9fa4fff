"""The least that a Python server can do with binary tensors: httptools on uvloop, np.frombuffer, the model inline."""

# ruff: noqa: ANN401, D102 -- the names and types are those of asyncio and httptools

from __future__ import annotations

import asyncio
from typing import Any

import httptools
import numpy as np
import onnxruntime
import uvloop

from benchmarks.peers import options
from benchmarks.peers.onnx_model import newest, session

HEADER_LENGTH = b"inference-header-content-length"


class BinaryModel:
    """One input whose rows' shape the model fixes; the JSON head is not even looked at, in this peer's favour."""

    def __init__(self, model: onnxruntime.InferenceSession) -> None:
        self._model = model
        self._input = model.get_inputs()[0].name
        self._shape = (-1, *model.get_inputs()[0].shape[1:])

    def answer(self, data: bytes) -> bytes:
        """The only output's bytes."""
        rows = np.frombuffer(data, np.float32).reshape(self._shape)
        return bytes(self._model.run(None, {self._input: rows})[0].tobytes())


class Handler(asyncio.Protocol):
    """One connection; requests are answered one after the other."""

    def __init__(self, models: dict[bytes, BinaryModel]) -> None:
        self._models = models
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []
        self._url = b""
        self._head = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body.clear()
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == HEADER_LENGTH:
            self._head = int(value)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        answer = self._models[self._url].answer(body[self._head :])
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: %d\r\n\r\n%b"
            % (len(answer), answer)
        )


async def serve(port: int, models: dict[bytes, BinaryModel]) -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(lambda: Handler(models), options.ADDRESS, port)
    await server.serve_forever()


if __name__ == "__main__":
    given = options.read()
    taken = {name: path for name, path in newest(given.models).items() if name in ("mlp", "frames")}
    by_path = {f"/v2/models/{name}/infer".encode(): BinaryModel(session(path)) for name, path in taken.items()}
    uvloop.run(serve(given.port, by_path))
