"""mosec as its documentation shows it: one worker stage a model, dynamic batches of at most 64, orjson for bodies."""

# ruff: noqa: ANN401, D102 -- the names and types are those of mosec

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import orjson
from mosec import Runtime, Server, Worker  # type: ignore[import-not-found]  # in the peers' own environment only

from benchmarks.peers import options
from benchmarks.peers.onnx_model import OnnxModel, newest

MODEL = "BENCHMARK_MODEL"
# Each has a process of its own: those that nobody asks for wait.
MODELS = {"mlp", "gbdt"}


class Model(Worker):  # type: ignore[misc]
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
    # A stage's `max_wait_time=0` means the server's `--wait`, whose default is 10 ms.
    flags = ["--address", options.ADDRESS, "--port", str(given.port), "--wait", given.wait_ms]
    sys.argv[1:] = [*flags, "--path", f"{given.scratch}/ipc", "--log-level", "warning"]
    server = Server()
    found = newest(given.models)
    routes = {
        f"/v2/models/{name}/infer": [
            Runtime(
                Model,
                num=int(given.workers),
                max_batch_size=int(given.max_batch),
                max_wait_time=int(given.wait_ms),
                env=[{MODEL: str(found[name])}] * int(given.workers),
            )
        ]
        for name in MODELS & found.keys()
    }
    server.register_runtime(routes)
    server.run()
