"""mosec as its documentation shows it: one worker stage with dynamic batches of at most 64, orjson for the bodies."""

# ruff: noqa: ANN401, D102 -- the names and types are those of mosec

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import orjson
from mosec import Server, Worker  # type: ignore[import-not-found]  # in the peers' own environment only

from benchmarks.peers import options
from benchmarks.peers.onnx_model import OnnxModel

MODEL = "BENCHMARK_MODEL"


class Mlp(Worker):  # type: ignore[misc]
    """Parses, runs and encodes in the worker's process, as mosec does."""

    def __init__(self) -> None:
        super().__init__()
        self._model = OnnxModel(Path(os.environ[MODEL]))

    def deserialize(self, data: bytes) -> Any:
        return orjson.loads(data)["inputs"][0]["data"]

    def serialize(self, data: Any) -> bytes:
        return orjson.dumps(data)

    def forward(self, data: Any) -> Any:
        # Unbatched, mosec passes one request's data, and not a list of them.
        return self._model.answers(data) if self.max_batch_size > 1 else self._model.answers([data])[0]


if __name__ == "__main__":
    given = options.read("wait-ms", "max-batch", "workers")
    os.environ[MODEL] = str(given.models / "mlp" / "1" / "model.onnx")
    # A stage's `max_wait_time=0` means the server's `--wait`, whose default is 10 ms.
    flags = ["--address", options.ADDRESS, "--port", str(given.port), "--wait", given.wait_ms]
    sys.argv[1:] = [*flags, "--path", f"{given.scratch}/ipc", "--log-level", "warning"]
    server = Server()
    server.append_worker(
        Mlp,
        num=int(given.workers),
        max_batch_size=int(given.max_batch),
        max_wait_time=int(given.wait_ms),
        route="/v2/models/mlp/infer",
    )
    server.run()
