"""The least that a Python server can do: httptools on uvloop, orjson, the model inline, and nothing else."""

# ruff: noqa: ANN401, D102 -- the names and types are those of asyncio and httptools

from __future__ import annotations

import asyncio
from typing import Any

import httptools
import orjson
import uvloop

from benchmarks.peers import options
from benchmarks.peers.onnx_model import OnnxModel, newest


class Handler(asyncio.Protocol):
    """One connection; pipelined requests are answered in order, since each is answered before the next is parsed."""

    def __init__(self, models: dict[bytes, OnnxModel]) -> None:
        self._models = models
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []
        self._url = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._transport.close()

    def on_message_begin(self) -> None:
        self._body.clear()
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        model = self._models.get(self._url)
        if model is None:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return
        answer = orjson.dumps(model.answer(orjson.loads(b"".join(self._body))))
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer)
        )
        if not self._parser.should_keep_alive():
            self._transport.close()


async def serve(port: int, models: dict[bytes, OnnxModel]) -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(lambda: Handler(models), options.ADDRESS, port)
    await server.serve_forever()


if __name__ == "__main__":
    given = options.read()
    by_path = {f"/v2/models/{name}/infer".encode(): OnnxModel(path) for name, path in newest(given.models).items()}
    uvloop.run(serve(given.port, by_path))
