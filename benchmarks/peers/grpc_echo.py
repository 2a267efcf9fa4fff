"""The least that grpc.aio does: every call is answered with the same bytes, neither decoded nor encoded."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import numpy as np
import uvloop

from benchmarks.peers import options
from benchmarks.peers.onnx_model import newest, session


def message(values: bytes) -> bytes:
    """ModelInferResponse with one raw output (field 6), written by hand as this process has no messages."""
    return b"\x32" + bytes([len(values)]) + values


class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc,name-defined,unused-ignore]
    """Whatever is called."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self._method = grpc.unary_unary_rpc_method_handler(self._answer)
        self._answers = answers

    def service(self, _details: Any) -> Any:  # noqa: ANN401 - grpc's own types
        """One handler for all methods."""
        return self._method

    async def _answer(self, request: bytes, _context: Any) -> bytes:  # noqa: ANN401 - grpc's own types
        return self._answers[request[-128:]]


async def serve(port: int, answers: dict[bytes, bytes]) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handlers(answers),))
    server.add_insecure_port(f"{options.ADDRESS}:{port}")
    await server.start()
    await server.wait_for_termination()


def known_answers(path: Any) -> dict[bytes, bytes]:  # noqa: ANN401 - a path
    """The benchmark's rows, each with its answer: computed before, so that calls cost nothing but gRPC."""
    model = session(path)
    rows = np.random.default_rng(11).normal(size=(200, 32)).round(2).astype(np.float32)
    name = model.get_inputs()[0].name
    return {row.tobytes(): message(model.run(None, {name: row[None]})[0].tobytes()) for row in rows}


if __name__ == "__main__":
    given = options.read()
    uvloop.install()
    asyncio.run(serve(given.grpc_port, known_answers(newest(given.models)["mlp"])))
