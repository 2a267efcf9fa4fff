"""BentoML with adaptive batches: one service, one worker, no log of accesses and no metrics."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import bentoml  # type: ignore[import-not-found]  # in an environment of its own only

from benchmarks.peers import options
from benchmarks.peers.onnx_model import OnnxModel, newest

MODEL = "BENCHMARK_MODEL"
MAX_BATCH = "BENCHMARK_MAX_BATCH"
BATCHED = os.environ.get(MAX_BATCH, "1") != "1"


@bentoml.service(  # type: ignore[untyped-decorator,unused-ignore]
    workers=1, traffic={"timeout": 60}, metrics={"enabled": False}, logging={"access": {"enabled": False}}
)
class Mlp:
    """The outputs alone: what a batched method returns is a list, and can have nothing around it."""

    def __init__(self) -> None:
        self._model = OnnxModel(Path(os.environ[MODEL]))

    # With the goal of 100 ms that its documentation shows, some requests are refused under 256 callers.
    @bentoml.api(  # type: ignore[untyped-decorator,unused-ignore]
        batchable=BATCHED,
        max_batch_size=max(2, int(os.environ.get(MAX_BATCH, "1"))),
        max_latency_ms=1_000,
        route="/v2/models/mlp/infer",
    )
    async def infer(self, inputs: list[dict[str, Any]]) -> list[Any]:
        """One input of each request, one output for each; on the loop, as a thread costs more than so small a model."""
        return [answer["outputs"][0] for answer in self._model.answers([tensor["data"] for tensor in inputs])]


if __name__ == "__main__":
    given = options.read("max-batch")
    os.environ |= {
        MODEL: str(newest(given.models)["mlp"]),
        MAX_BATCH: given.max_batch,
        "BENTOML_HOME": str(given.scratch),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    flags = ["--host", options.ADDRESS, "--port", str(given.port), "--api-workers", "1", "--working-dir", "."]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", "benchmarks.peers.bentoml_server:Mlp", *flags])
